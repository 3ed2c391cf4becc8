// Shapes: H query heads, G key-value heads, N key-value heads afterwards, D head dimension, C model dimension.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.GroupedQuery;

/// <summary>The rows of one matrix, or of its bias, that makes keys and values: [queries | G·D keys | G·D values].</summary>
/// <param name="Queries">Rows before them: H·D in attention of a sequence to itself, none in attention to an encoder.</param>
/// <param name="Heads">Key-value heads, G.</param>
/// <param name="Pooled">Key-value heads afterwards, N; divides G.</param>
/// <param name="HeadDim">Rows of a head, D.</param>
internal sealed record HeadRows(int Queries, int Heads, int Pooled, int HeadDim)
{
    // What every matrix of a new model is drawn with.
    private const double Deviation = 0.02;

    /// <summary>Rows afterwards.</summary>
    public int Count => Queries + 2 * Pooled * HeadDim;

    /// <summary>Pools whole heads, consecutive ones together, as query heads share them afterwards.</summary>
    /// <param name="rows">(rows, C), or (rows) of a bias.</param>
    /// <param name="pool">How.</param>
    /// <param name="seed">Draws random heads.</param>
    /// <returns>(<see cref="Count"/>, C) or (<see cref="Count"/>), in the current dispose scope.</returns>
    public Tensor Pool(Tensor rows, HeadPool pool, ulong seed)
    {
        using DisposeScope scope = NewDisposeScope();
        using Generator generator = new(seed);
        Tensor[] parts = rows.split([Queries, Heads * HeadDim, Heads * HeadDim], 0);
        return cat([parts[0], Pool(parts[1], pool, generator), Pool(parts[2], pool, generator)], 0).MoveToOuterDisposeScope();
    }

    private Tensor Pool(Tensor rows, HeadPool pool, Generator generator)
    {
        long[] tail = rows.shape[1..];
        Tensor groups = rows.reshape([Pooled, Heads / Pooled, HeadDim, .. tail]); // (G·D, …) → (N, G/N, D, …)
        Tensor one = pool switch // (N, D, …)
        {
            HeadPool.Mean => groups.mean([1]),
            HeadPool.First => groups.select(1, 0),
            HeadPool.Random => Drawn([Pooled, HeadDim, .. tail], generator),
            _ => throw new ArgumentOutOfRangeException(nameof(pool), pool, "no such pool"),
        };
        return one.reshape([Pooled * HeadDim, .. tail]);
    }

    // Biases begin at zero, as in a new model.
    private static Tensor Drawn(long[] shape, Generator generator) =>
        shape.Length > 2 ? empty(shape).normal_(0, Deviation, generator) : zeros(shape);
}
