using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>An operation with a backward pass of its own and one result, in the form of TorchSharp's class of the same name.</summary>
/// <remarks>TorchSharp 0.107 keeps a copy of each result's size, what was saved and every gradient until the whole graph is freed, and an
/// exception in a backward pass ends the process. Here what was saved is freed once the node has run, gradients as soon as they are passed
/// on, and <see cref="Differentiation"/> throws what a backward pass threw. There is no second derivative, and a graph runs backwards
/// once.</remarks>
/// <typeparam name="T">The operation; one instance serves all threads, so it holds no state.</typeparam>
public abstract class SingleTensorFunction<T> where T : SingleTensorFunction<T>, new()
{
    private static readonly T Instance = new();

    /// <summary>Runs the forward pass, recorded where gradients are.</summary>
    /// <param name="vars">Tensors, null, and anything else.</param>
    public static Tensor apply(params object?[] vars) => AutogradNode.Apply(
        vars, context => [Instance.forward(context, vars!)], (context, gradients) => Instance.backward(context, gradients[0]))[0];

    /// <summary>Computes the result, unrecorded.</summary>
    public abstract Tensor forward(AutogradContext ctx, params object[] vars);

    /// <summary>The gradient of each argument of <see cref="apply"/>, null where there is none.</summary>
    public abstract List<Tensor> backward(AutogradContext ctx, Tensor grad_output);
}

/// <summary>An operation with a backward pass of its own and several results.</summary>
/// <inheritdoc cref="SingleTensorFunction{T}"/>
public abstract class MultiTensorFunction<T> where T : MultiTensorFunction<T>, new()
{
    private static readonly T Instance = new();

    /// <summary>Runs the forward pass, recorded where gradients are.</summary>
    /// <param name="vars">Tensors, null, and anything else.</param>
    public static List<Tensor> apply(params object?[] vars) =>
        AutogradNode.Apply(vars, context => Instance.forward(context, vars!), Instance.backward);

    /// <summary>Computes the results, unrecorded.</summary>
    public abstract List<Tensor> forward(AutogradContext ctx, params object[] vars);

    /// <summary>The gradient of each argument of <see cref="apply"/>, null where there is none.</summary>
    /// <param name="ctx">What the forward pass kept.</param>
    /// <param name="grad_outputs">Zeros for a result that nothing depends on.</param>
    public abstract List<Tensor> backward(AutogradContext ctx, List<Tensor> grad_outputs);
}
