using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>Tells how far a backward pass has come.</summary>
public static class BackwardSignal
{
    /// <summary>A tensor's alias, to be used in its place. When the backward pass comes to it, every weight that only operations after it
    /// read has its whole gradient, if gradients are added to leaves (<see cref="Differentiation.Backward"/>): libtorch does that first.
    /// Nothing is told where the tensor has no gradient.</summary>
    public static Tensor At(Tensor x, Action reached) => At(x, _ => reached());

    /// <summary>As <see cref="At(Tensor, Action)"/>, with the tensor's gradient, which lasts for the call.</summary>
    public static Tensor At(Tensor x, Action<Tensor> reached) => AutogradNode.Apply(
        [x],
        _ => [x.detach()],
        (_, gradients) =>
        {
            reached(gradients[0]);
            return gradients;
        })[0];
}
