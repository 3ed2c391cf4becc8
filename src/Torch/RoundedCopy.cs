using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch;

/// <summary>A tensor in bfloat16, rounded anew only after it has been written: once per optimizer step, however often it is used in
/// between.</summary>
/// <remarks>Several threads may ask for the copy of one tensor while none of them writes it.</remarks>
public sealed class RoundedCopy : IDisposable
{
    private readonly Lock making = new();
    private State? state;

    /// <summary>The copy.</summary>
    /// <param name="source">Always the same tensor, or what took its place.</param>
    /// <returns>Of the source's shape and device, bfloat16, without gradient. It belongs to this object, until the source is written. A source in bfloat16 is
    /// its own copy.</returns>
    public Tensor Of(Tensor source)
    {
        if (source.dtype == ScalarType.BFloat16) return source;
        if (Current(source) is { } copy) return copy;
        lock (making)
        {
            if (Current(source) is { } made) return made;
            state?.Copy.Dispose();
            state = null;
            Tensor fresh = Round(source);
            // Of a tensor that does not count them nobody can tell when it has been written: such a copy is for this once.
            if (source._version < 0) return DisposeScope.Current?.Include(fresh) ?? fresh;
            state = new(source, source._version, fresh);
            return fresh;
        }
    }

    /// <summary>Turns a tensor itself into bfloat16, without gradient: where it will not be written any more.</summary>
    public static void Replace(Tensor tensor)
    {
        tensor.requires_grad = false;
        tensor.MoveData(device: null, ScalarType.BFloat16);
    }

    /// <inheritdoc/>
    public void Dispose() => state?.Copy.Dispose();

    private Tensor? Current(Tensor source) =>
        Volatile.Read(ref state) is { } known && ReferenceEquals(known.Source, source) && known.Version == source._version ? known.Copy : null;

    // An ordinary tensor, also where it is first asked for in inference mode: training may use it next.
    private static Tensor Round(Tensor source)
    {
        using IDisposable ordinary = inference_mode(false);
        using IDisposable unrecorded = no_grad();
        return source.to_type(ScalarType.BFloat16).DetachFromDisposeScope();
    }

    private sealed record State(Tensor Source, long Version, Tensor Copy);
}
