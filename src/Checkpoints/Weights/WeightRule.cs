// Shapes: R rows, C columns, H heads, D head dimension, E experts.
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

internal sealed record NamedShape(string Name, params long[] Shape);

/// <summary>Makes one side's tensor with an <paramref name="index"/> from all tensors of the other, in the rule's order.</summary>
internal delegate Tensor WeightTransform(IReadOnlyList<Tensor> sources, int index);

/// <summary>Tensors here and in another format that hold the same numbers, and how each side is made from the other, in float32.</summary>
internal sealed record WeightRule(
    IReadOnlyList<NamedShape> Native, IReadOnlyList<NamedShape> External, WeightTransform ToNative, WeightTransform ToExternal)
{
    /// <summary>The first element of each external tensor, if it is a contiguous slice of the single native one: then only that is read, in
    /// the external shape. Null if <see cref="ToExternal"/> gets whole tensors.</summary>
    public IReadOnlyList<long>? SliceStarts { get; init; }

    /// <summary>Whether every external matrix is rows of the native one that follow each other, in their order.</summary>
    public bool KeepsRows { get; private init; }

    /// <summary>Whether rows here are columns there.</summary>
    public bool Transposes { get; private init; }

    public static WeightRule Copy(string native, string external, params long[] shape) =>
        new([new(native, shape)], [new(external, shape)], Same, Same) { KeepsRows = true };

    /// <summary>An external tensor of zeros that has no counterpart here.</summary>
    public static WeightRule Zeros(string external, params long[] shape) => new(
        [],
        [new(external, shape)],
        (_, _) => throw new InvalidOperationException($"{external} has no counterpart."),
        (_, _) => zeros(shape));

    public static WeightRule Reshaped(NamedShape native, NamedShape external) => new(
        [native], [external], (sources, _) => sources[0].reshape(native.Shape), (sources, _) => sources[0].reshape(external.Shape));

    /// <summary>Here (R, C), there (C, R): GPT-2's Conv1D multiplies x·W where a linear layer multiplies x·Wᵀ.</summary>
    public static WeightRule Transposed(string native, string external, long rows, long columns) =>
        new([new(native, rows, columns)], [new(external, columns, rows)], Transpose, Transpose)
        {
            KeepsRows = true, Transposes = true,
        };

    /// <summary>One tensor here is several there, concatenated by rows; <paramref name="tail"/> is (C) for matrices, else empty.</summary>
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
            SliceStarts = starts, KeepsRows = true,
        };
    }

    /// <summary>Here [H·D query | H·D key | H·D value], there [D query, D key, D value] for each head (GPT-NeoX, Bloom).</summary>
    public static WeightRule HeadByHead(string native, string external, long heads, long headDim, params long[] tail)
    {
        long[] shape = [3 * heads * headDim, .. tail];
        return new(
            [new(native, shape)], [new(external, shape)],
            (sources, _) => sources[0].reshape([heads, 3, headDim, .. tail]).transpose(0, 1).reshape(shape), // (H, 3, D, …) → (3, H, D, …)
            (sources, _) => sources[0].reshape([3, heads, headDim, .. tail]).transpose(0, 1).reshape(shape));
    }

    /// <summary>A tensor (E, R, C) here, whose matrix for each expert is one or more external matrices concatenated by rows.</summary>
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
