using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Models;

/// <summary>Rows of a fused matrix that are a matrix of their own, and the heads of attention that they are made of, 1 for none.</summary>
public readonly record struct MatrixRows(long Rows, int Heads = 1)
{
    /// <summary>Its name, in place of the fused one's; null where it is nothing by itself.</summary>
    public string? Name { get; init; }
}

/// <summary>A parameter of a block with matrices in its last two dimensions: (rows, columns), or (experts, rows, columns).</summary>
/// <remarks>Fused projections are several matrices, one below the other: <c>Parts</c> has them from the top.</remarks>
public sealed record HiddenMatrix(string Name, IReadOnlyList<MatrixRows> Parts);

/// <summary>A module with a parameter that is several matrices, one below the other, or has rows by heads.</summary>
internal interface IFusesMatrices
{
    IEnumerable<(string Name, IReadOnlyList<MatrixRows> Parts)> FusedMatrices { get; }
}

internal static class HiddenMatrices
{
    /// <summary>Those of all blocks. What has one row or one column, as a depthwise convolution, is no matrix.</summary>
    public static IEnumerable<HiddenMatrix> Of(SequenceModel model)
    {
        foreach ((string path, nn.Module block) in model.named_modules().Where(entry => entry.module is Block))
        {
            Dictionary<string, IReadOnlyList<MatrixRows>> fused = Fused(block);
            foreach ((string name, Parameter value) in block.named_parameters())
                if (value.dim() >= 2 && value.size(-1) > 1 && value.size(-2) > 1)
                    yield return new($"{path}.{name}", fused.GetValueOrDefault(name, [new(value.size(-2))]));
        }
    }

    private static Dictionary<string, IReadOnlyList<MatrixRows>> Fused(nn.Module block) =>
    (
        from module in block.named_modules()
        where module.module is IFusesMatrices
        from matrix in ((IFusesMatrices)module.module).FusedMatrices
        select (Name: $"{module.name}.{matrix.Name}", matrix.Parts)
    ).ToDictionary(matrix => matrix.Name, matrix => matrix.Parts);
}
