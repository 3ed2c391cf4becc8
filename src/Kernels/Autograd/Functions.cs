using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>An operation with its own backward pass and one result, in the form of TorchSharp's class of the same name.</summary>
/// <remarks>TorchSharp 0.107 keeps a copy of each result's size, the saved tensors and every gradient until the whole graph is freed, and
/// an exception in a backward pass ends the process. Here saved tensors are freed once the node has run, gradients as soon as they are
/// passed on, and <see cref="Differentiation"/> throws such exceptions. There is no second derivative, a graph runs backwards once, and one
/// instance serves all threads, so it holds no state.</remarks>
internal abstract class SingleTensorFunction<T> where T : SingleTensorFunction<T>, new()
{
    private static readonly T Instance = new();

    /// <summary>Runs the forward pass, recorded where gradients are.</summary>
    public static Tensor apply(params object?[] vars) => AutogradNode.Apply(
        vars, context => [Instance.forward(context, vars!)], (context, gradients) => Instance.backward(context, gradients[0]))[0];

    public abstract Tensor forward(AutogradContext ctx, params object[] vars);

    /// <summary>The gradient of each argument of <see cref="apply"/>, null where there is none.</summary>
    public abstract List<Tensor> backward(AutogradContext ctx, Tensor grad_output);
}

/// <summary>An operation with its own backward pass and several results.</summary>
internal abstract class MultiTensorFunction<T> where T : MultiTensorFunction<T>, new()
{
    private static readonly T Instance = new();

    public static List<Tensor> apply(params object?[] vars) =>
        AutogradNode.Apply(vars, context => Instance.forward(context, vars!), Instance.backward);

    public abstract List<Tensor> forward(AutogradContext ctx, params object[] vars);

    /// <summary>The gradient of each argument of <see cref="apply"/>, or null; grad_outputs has zeros for unused results.</summary>
    public abstract List<Tensor> backward(AutogradContext ctx, List<Tensor> grad_outputs);
}
