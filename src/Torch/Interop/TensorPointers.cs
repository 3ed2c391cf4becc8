using TorchSharp;

namespace Trainer.Torch.Interop;

/// <summary>Borrows the native pointers of several tensors for the length of one call; null stands for no tensor.</summary>
/// <remarks>Each handle is pinned by a reference count, so that no other thread's dispose frees it meanwhile.</remarks>
internal readonly ref struct TensorPointers : IDisposable
{
    private readonly IReadOnlyList<torch.Tensor?> tensors;
    private readonly nint[] pointers;

    internal TensorPointers(IReadOnlyList<torch.Tensor?> tensors)
    {
        this.tensors = tensors;
        pointers = new nint[tensors.Count];
        var held = 0;
        try
        {
            for (; held < pointers.Length; held++)
            {
                if (tensors[held] is not { } tensor) continue;
                var added = false;
                tensor.handle.DangerousAddRef(ref added);
                pointers[held] = tensor.handle.DangerousGetHandle();
            }
        }
        catch
        {
            Release(held);
            throw;
        }
    }

    internal int Count => pointers.Length;

    /// <summary>For <c>fixed</c>.</summary>
    public ref nint GetPinnableReference() => ref pointers.AsSpan().GetPinnableReference();

    public void Dispose() => Release(pointers.Length);

    private void Release(int count)
    {
        for (var i = 0; i < count; i++) tensors[i]?.handle.DangerousRelease();
    }
}
