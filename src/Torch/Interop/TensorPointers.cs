using TorchSharp;

namespace Trainer.Torch.Interop;

/// <summary>Borrows the native pointers of several tensors for the length of one call.</summary>
/// <remarks>Each handle is pinned by a reference count, so that no other thread's dispose frees it meanwhile.</remarks>
internal readonly ref struct TensorPointers : IDisposable
{
    private readonly IReadOnlyList<torch.Tensor> tensors;
    private readonly nint[] pointers;

    internal TensorPointers(IReadOnlyList<torch.Tensor> tensors)
    {
        this.tensors = tensors;
        pointers = new nint[tensors.Count];
        for (var i = 0; i < pointers.Length; i++)
        {
            var added = false;
            tensors[i].handle.DangerousAddRef(ref added);
            pointers[i] = tensors[i].handle.DangerousGetHandle();
        }
    }

    internal int Count => pointers.Length;

    /// <summary>For <c>fixed</c>.</summary>
    public ref nint GetPinnableReference() => ref pointers.AsSpan().GetPinnableReference();

    public void Dispose()
    {
        for (var i = 0; i < pointers.Length; i++) tensors[i].handle.DangerousRelease();
    }
}
