// Shapes: R rows, C columns, H heads, D head dimension.
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>The ways in which two layouts of the same weights differ.</summary>
internal static class Rules
{
    /// <summary>The same tensor under another name.</summary>
    public static WeightRule Copy(string ours, string theirs, params long[] shape) =>
        new([new(ours, shape)], [new(theirs, shape)], Same, Same);

    /// <summary>Theirs adds nothing and ours has none.</summary>
    public static WeightRule Zeros(string theirs, params long[] shape) =>
        new([], [new(theirs, shape)], (_, _) => throw new InvalidOperationException($"{theirs} has no counterpart."), (_, _) => zeros(shape));

    /// <summary>The same numbers in another shape.</summary>
    public static WeightRule Reshaped(NamedShape ours, NamedShape theirs) =>
        new([ours], [theirs], (sources, _) => sources[0].reshape(ours.Shape), (sources, _) => sources[0].reshape(theirs.Shape));

    /// <summary>Ours is (R, C), theirs (C, R): GPT-2's Conv1D multiplies x·W where a linear layer multiplies x·Wᵀ.</summary>
    public static WeightRule Transposed(string ours, string theirs, long rows, long columns) =>
        new([new(ours, rows, columns)], [new(theirs, columns, rows)], Turned, Turned);

    /// <summary>Ours is several of theirs, one below the other.</summary>
    /// <param name="ours">The name of ours.</param>
    /// <param name="tail">The extents after the rows: (C) for matrices, none for biases.</param>
    /// <param name="parts">Theirs with their rows, from top to bottom.</param>
    public static WeightRule Rows(string ours, long[] tail, params (string Name, long Rows)[] parts)
    {
        long row = tail.Aggregate(1L, (product, extent) => product * extent), total = 0;
        long[] starts = new long[parts.Length];
        for (int part = 0; part < parts.Length; total += parts[part++].Rows) starts[part] = total * row;
        return new(
            [new(ours, [total, .. tail])],
            [.. parts.Select(part => new NamedShape(part.Name, [part.Rows, .. tail]))],
            (sources, _) => cat([.. sources], 0),
            Same)
        {
            Runs = starts,
        };
    }

    /// <summary>Queries, keys and values of one matrix: ours [H·D query | H·D key | H·D value], theirs [D query, D key, D value] head by head
    /// (GPT-NeoX, Bloom).</summary>
    public static WeightRule HeadByHead(string ours, string theirs, long heads, long headDim, params long[] tail)
    {
        long[] shape = [3 * heads * headDim, .. tail];
        return new(
            [new(ours, shape)], [new(theirs, shape)],
            (sources, _) => sources[0].reshape([heads, 3, headDim, .. tail]).transpose(0, 1).reshape(shape), // (H, 3, D, …) → (3, H, D, …)
            (sources, _) => sources[0].reshape([3, heads, headDim, .. tail]).transpose(0, 1).reshape(shape));
    }

    /// <summary>Ours is the matrices of all experts, one above the other in each: (E, R, C); theirs are matrices.</summary>
    /// <param name="ours">The name of ours.</param>
    /// <param name="experts">E</param>
    /// <param name="columns">C</param>
    /// <param name="parts">The matrices of an expert with their rows, from top to bottom.</param>
    public static WeightRule Experts(string ours, int experts, long columns, Func<int, (string Name, long Rows)[]> parts)
    {
        (string Name, long Rows)[] first = parts(0), all = [.. Enumerable.Range(0, experts).SelectMany(parts)];
        WeightRule flat = Rows(ours, [columns], all);
        long[] shape = [experts, first.Sum(part => part.Rows), columns];
        return flat with
        {
            Ours = [new(ours, shape)],
            ToOurs = (sources, index) => flat.ToOurs(sources, index).reshape(shape), // (E·R, C) → (E, R, C)
        };
    }

    private static Tensor Same(IReadOnlyList<Tensor> sources, int index) => sources[0].alias();

    private static Tensor Turned(IReadOnlyList<Tensor> sources, int index) => sources[0].transpose(0, 1);
}
