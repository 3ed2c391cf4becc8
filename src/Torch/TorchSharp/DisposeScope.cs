namespace TorchSharp;

/// <summary>Frees, at its end, every tensor that was made on this thread while it was the innermost scope.</summary>
/// <remarks>Scopes nest and end in reverse order; each belongs to the thread that opened it. A tensor that has to
/// outlive its scope is moved out (<see cref="torch.Tensor.MoveToOuterDisposeScope"/>) or detached
/// (<see cref="torch.Tensor.DetachFromDisposeScope"/>).</remarks>
public sealed class DisposeScope : IDisposable
{
    [ThreadStatic] private static DisposeScope? current;

    private readonly List<torch.Tensor> tensors = [];
    private bool disposed;

    internal DisposeScope()
    {
        OuterScope = current;
        current = this;
    }

    /// <summary>The innermost scope of this thread, or none.</summary>
    internal static DisposeScope? Current => current;

    /// <summary>The scope around this one, or none.</summary>
    public DisposeScope? OuterScope { get; }

    /// <summary>Tensors that this scope will free.</summary>
    public int DisposablesCount => tensors.Count(tensor => tensor.OwningDisposeScope == this);

    /// <summary>Room in the list of tensors, for tests.</summary>
    internal int Capacity => tensors.Capacity;

    /// <summary>Takes a tensor in, out of whatever scope held it.</summary>
    public T Include<T>(T tensor) where T : torch.Tensor
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (tensor.OwningDisposeScope != this)
        {
            tensor.OwningDisposeScope = this;
            if (tensors.Count == tensors.Capacity) DropForeign();
            tensors.Add(tensor);
        }

        return tensor;
    }

    /// <summary>Hands a tensor to the scope around this one; to none, if there is none.</summary>
    public T MoveToOuter<T>(T tensor) where T : torch.Tensor
    {
        if (OuterScope is null) Detach(tensor);
        else OuterScope.Include(tensor);
        return tensor;
    }

    /// <summary>Lets a tensor live on without a scope: its owner disposes it.</summary>
    public T Detach<T>(T tensor) where T : torch.Tensor
    {
        tensor.OwningDisposeScope = null;
        return tensor;
    }

    /// <summary>Frees what the scope holds and makes the scope around it the innermost one again.</summary>
    /// <exception cref="InvalidOperationException">A scope opened later is still open, or this is another thread.</exception>
    public void Dispose()
    {
        if (disposed) return;
        if (current != this)
            throw new InvalidOperationException("Dispose scopes end in reverse order, on the thread that opened them.");
        disposed = true;
        current = OuterScope;
        foreach (var tensor in tensors)
            if (tensor.OwningDisposeScope == this) tensor.Dispose();
        tensors.Clear();
    }

    // Leaving a scope only marks the tensor; the list forgets it here, before it would grow, so that a scope around a
    // long loop that disposes by hand stays small. Growing when more than half is still in use keeps the cost constant.
    private void DropForeign()
    {
        tensors.RemoveAll(tensor => tensor.OwningDisposeScope != this);
        if (tensors.Count > tensors.Capacity / 2) tensors.EnsureCapacity(tensors.Capacity * 2);
    }
}

public static partial class torch
{
    /// <summary>Opens a scope that frees the tensors made in it.</summary>
    public static DisposeScope NewDisposeScope() => new();
}
