using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>A weight in its compute type, rounded again only after the weight was written: once per optimizer step, however often it is
/// used.</summary>
/// <param name="type">bfloat16, int8 for blocks of 8 bits (<see cref="BlockQuantization"/>), or float32 for no copy.</param>
/// <remarks>Several threads may ask for the copy while none writes the weight.</remarks>
public sealed class ComputeWeight(ScalarType type = ScalarType.BFloat16) : IDisposable
{
    private readonly Lock making = new();
    private State? state;

    /// <summary>The copy, without gradient; this object's, until the source, the same on every call, is written.</summary>
    public Tensor Of(Tensor source)
    {
        if (source.dtype == type) return source;
        if (Current(source) is { } copy) return copy;
        lock (making)
        {
            if (Current(source) is { } made) return made;
            state?.Copy.Dispose();
            state = null;
            Tensor fresh = Fresh(source);
            // Inference tensors do not count their writes: such a copy serves one call only.
            if (source.Version is not { } version) return CurrentDisposeScope?.Include(fresh) ?? fresh;
            state = new(source, version, fresh);
            return fresh;
        }
    }

    /// <summary>A new tensor rounded to a compute type: float32 (…, K) to bfloat16, or to int8 for blocks.</summary>
    /// <exception cref="TorchException">Rows of K do not divide into blocks, or are not on the CPU.</exception>
    public static Tensor Round(Tensor numbers, ScalarType type) =>
        type == ScalarType.Int8 ? BlockQuantization.Pack(numbers) : numbers.to(type, copy: true);

    /// <summary>Rounds a weight itself, which loses its gradient: for weights that will not be written any more.</summary>
    /// <exception cref="TorchException">As <see cref="Round"/>.</exception>
    public static void Replace(Tensor numbers, ScalarType type)
    {
        if (numbers.dtype == type) return;
        numbers.requires_grad = false;
        using Tensor rounded = Round(numbers, type);
        numbers.SetData(rounded);
    }

    /// <inheritdoc/>
    public void Dispose() => state?.Copy.Dispose();

    private Tensor? Current(Tensor source) =>
        Volatile.Read(ref state) is { } known && ReferenceEquals(known.Source, source) && known.Version == source.Version
            ? known.Copy
            : null;

    // An ordinary tensor even when first asked for in inference mode: training may use it next.
    private Tensor Fresh(Tensor source)
    {
        using IDisposable ordinary = inference_mode(false);
        using IDisposable unrecorded = no_grad();
        return Round(source, type).DetachFromDisposeScope();
    }

    private sealed record State(Tensor Source, long Version, Tensor Copy);
}
