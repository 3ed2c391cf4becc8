using Trainer.Torch.Interop;

namespace TorchSharp.Modules;

/// <summary>A tensor that is trained.</summary>
/// <remarks>Takes over the memory of the tensor it is made from, which is invalid afterwards, and belongs to no dispose scope.</remarks>
public class Parameter : torch.Tensor
{
    /// <summary>Makes a parameter of a leaf tensor.</summary>
    /// <param name="data">The values; disposed.</param>
    /// <param name="requires_grad">Whether gradients are recorded.</param>
    public Parameter(torch.Tensor data, bool requires_grad = true) : base(TakeOver(data, requires_grad)) =>
        DetachFromDisposeScope();

    private static TensorHandle TakeOver(torch.Tensor data, bool requiresGrad)
    {
        Native.Check(NativeMethods.tn_detach(data.handle, out var pointer));
        var handle = new TensorHandle(pointer);
        Native.Check(NativeMethods.tn_set_requires_grad(handle, requiresGrad ? 1 : 0));
        data.Dispose();
        return handle;
    }
}
