using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>A weight in the type it is multiplied in, rounded anew only after it has been written: once per optimizer step, however often
/// it is used in between.</summary>
/// <param name="type">bfloat16; int8 for blocks of 8 bits (see <see cref="BlockQuantization"/>); float32 for no copy at all</param>
/// <remarks>Several threads may ask for the copy of one weight while none of them writes it.</remarks>
public sealed class ComputeWeight(ScalarType type = ScalarType.BFloat16) : IDisposable
{
    private readonly Lock making = new();
    private State? state;

    /// <summary>The copy.</summary>
    /// <param name="source">Always the same tensor, or what took its place.</param>
    /// <returns>The source's numbers on its device in this type, without gradient. It belongs to this object, until the source is written.
    /// A source of this type is its own copy.</returns>
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
            // Of a tensor that does not count them nobody can tell when it has been written: such a copy is for this once.
            if (source.Version is not { } version) return CurrentDisposeScope?.Include(fresh) ?? fresh;
            state = new(source, version, fresh);
            return fresh;
        }
    }

    /// <summary>Numbers rounded to a compute type.</summary>
    /// <param name="numbers">(…, K), float32</param>
    /// <param name="type">bfloat16, or int8 for blocks</param>
    /// <returns>Another tensor</returns>
    /// <exception cref="TorchException">Rows of K numbers are not made of whole blocks, or not on the CPU.</exception>
    public static Tensor Round(Tensor numbers, ScalarType type) =>
        type == ScalarType.Int8 ? BlockQuantization.Pack(numbers) : numbers.to(type, copy: true);

    /// <summary>Turns a weight itself into a compute type, without gradient: where it will not be written any more.</summary>
    /// <inheritdoc cref="Round"/>
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
            ? known.Copy : null;

    // An ordinary tensor, also where it is first asked for in inference mode: training may use it next.
    private Tensor Fresh(Tensor source)
    {
        using IDisposable ordinary = inference_mode(false);
        using IDisposable unrecorded = no_grad();
        return Round(source, type).DetachFromDisposeScope();
    }

    private sealed record State(Tensor Source, long Version, Tensor Copy);
}
