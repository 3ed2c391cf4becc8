// Shapes: R rows, C columns, H heads, D head dimension, E experts.
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

internal sealed record NamedShape(string Name, params long[] Shape);

/// <summary>Makes one tensor of one side from all tensors of the other.</summary>
/// <param name="sources">The other side's tensors, in the order of the rule.</param>
/// <param name="index">Which tensor of this side to make.</param>
internal delegate Tensor WeightTransform(IReadOnlyList<Tensor> sources, int index);

/// <summary>Tensors of this program and tensors of another format that hold the same numbers, and how each side is made from the other, in
/// float32.</summary>
internal sealed record WeightRule(
    IReadOnlyList<NamedShape> Native, IReadOnlyList<NamedShape> External, WeightTransform ToNative, WeightTransform ToExternal)
{
    /// <summary>Where each external tensor starts, in elements, within the single native one, if each is a contiguous slice of it:
    /// <see cref="ToExternal"/> then gets that slice in the external shape, and nothing else is read. Null if it gets the whole
    /// tensors.</summary>
    public IReadOnlyList<long>? SliceStarts { get; init; }

    /// <summary>The same tensor under another name.</summary>
    public static WeightRule Copy(string native, string external, params long[] shape) =>
        new([new(native, shape)], [new(external, shape)], Same, Same);

    /// <summary>An external tensor of zeros that has no counterpart here.</summary>
    public static WeightRule Zeros(string external, params long[] shape) => new(
        [],
        [new(external, shape)],
        (_, _) => throw new InvalidOperationException($"{external} has no counterpart."),
        (_, _) => zeros(shape));

    /// <summary>The same numbers in another shape.</summary>
    public static WeightRule Reshaped(NamedShape native, NamedShape external) => new(
        [native], [external], (sources, _) => sources[0].reshape(native.Shape), (sources, _) => sources[0].reshape(external.Shape));

    /// <summary>Here (R, C), there (C, R): GPT-2's Conv1D multiplies x·W where a linear layer multiplies x·Wᵀ.</summary>
    public static WeightRule Transposed(string native, string external, long rows, long columns) =>
        new([new(native, rows, columns)], [new(external, columns, rows)], Transpose, Transpose);

    /// <summary>One tensor here is several of the other format, concatenated by rows; <paramref name="tail"/> holds the extents after the
    /// rows: (C) for matrices, none for biases.</summary>
    public static WeightRule Rows(string native, long[] tail, params (string Name, long Rows)[] parts)
    {
        long row = tail.Aggregate(1L, (product, extent) => product * extent), total = 0;
        long[] starts = new long[parts.Length];
        for (int part = 0; part < parts.Length; total += parts[part++].Rows) starts[part] = total * row;
        return new(
            [new(native, [total, .. tail])],
            [.. parts.Select(part => new NamedShape(part.Name, [part.Rows, .. tail]))],
            (sources, _) => cat([.. sources], 0),
            Same)
        {
            SliceStarts = starts,
        };
    }

    /// <summary>Fused queries, keys and values: here [H·D query | H·D key | H·D value], there [D query, D key, D value] for each head
    /// (GPT-NeoX, Bloom).</summary>
    public static WeightRule HeadByHead(string native, string external, long heads, long headDim, params long[] tail)
    {
        long[] shape = [3 * heads * headDim, .. tail];
        return new(
            [new(native, shape)], [new(external, shape)],
            (sources, _) => sources[0].reshape([heads, 3, headDim, .. tail]).transpose(0, 1).reshape(shape), // (H, 3, D, …) → (3, H, D, …)
            (sources, _) => sources[0].reshape([3, heads, headDim, .. tail]).transpose(0, 1).reshape(shape));
    }

    /// <summary>One tensor (E, R, C) here, whose matrix for each expert is one or more external matrices concatenated by rows.</summary>
    public static WeightRule Experts(string native, int experts, long columns, Func<int, (string Name, long Rows)[]> parts)
    {
        (string Name, long Rows)[] first = parts(0), all = [.. Enumerable.Range(0, experts).SelectMany(parts)];
        WeightRule flat = Rows(native, [columns], all);
        long[] shape = [experts, first.Sum(part => part.Rows), columns];
        return flat with
        {
            Native = [new(native, shape)],
            ToNative = (sources, index) => flat.ToNative(sources, index).reshape(shape), // (E·R, C) → (E, R, C)
        };
    }

    private static Tensor Same(IReadOnlyList<Tensor> sources, int index) => sources[0].alias();

    private static Tensor Transpose(IReadOnlyList<Tensor> sources, int index) => sources[0].transpose(0, 1);
}
