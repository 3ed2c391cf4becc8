// Shapes: B batch, N patches, P values of a patch, T positions, C model dimension; L values of a series; H, W sides of a picture.
using TorchSharp.Modules;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Models.Patches;

/// <summary>Cuts rows of numbers into patches, and maps each to a vector; a class token stands before them where there is one.</summary>
internal sealed class PatchEmbedding : nn.Module
{
    private readonly double scale;
    private readonly MixedLinear projection;
    private readonly Parameter? classToken;

    public PatchEmbedding(PatchOptions patches, ModelOptions model, ScalarType computeType)
        : base(nameof(PatchEmbedding))
    {
        scale = model.ScaleEmbeddings ? Math.Sqrt(model.Dim) : 1;
        projection = new(patches.PatchValues, model.Dim, model.Bias, computeType);
        classToken = HasClassToken(patches) ? new Parameter(empty(1, model.Dim)) : null;
        RegisterComponents();
    }

    public Device Device => projection.Weight.device;

    public static PartCost Cost(PatchOptions patches, ModelOptions model) =>
        PartCost.Linear(patches.PatchValues, model.Dim, model.Bias) + new PartCost(HasClassToken(patches) ? model.Dim : 0, 0);

    public Tensor Rows(Tensor patches) // (B, N, P) → (B, T, C), float32
    {
        Tensor rows = projection.forward(patches).to_type(ScalarType.Float32); // (B, N, P) → (B, N, C)
        if (classToken is not null)
            rows = cat([classToken.unsqueeze(0).expand(patches.size(0), 1, -1), rows], 1); // (B, 1 + N, C)
        return scale == 1 ? rows : rows.mul(scale);
    }

    /// <summary>The patches of rows of numbers, (B, numbers) → (B, N, P): a picture's row by row, each by channel, row and column. Those of
    /// a decoder's series end with the last value; else that is repeated for a stride.</summary>
    /// <exception cref="UserException">The rows have another number of numbers.</exception>
    public static Tensor Cut(PatchOptions patches, Tensor values, bool causal)
    {
        if (values.dim() != 2 || values.size(1) != patches.Values())
            throw new UserException($"inputs of shape ({string.Join(", ", values.shape)}) do not fit a model that reads " +
                $"{patches.Values()} numbers each");
        return patches switch
        {
            ImagePatchOptions image => values
                .reshape(-1, image.Channels, image.Height / image.Patch, image.Patch, image.Width / image.Patch, image.Patch)
                .permute(0, 2, 4, 1, 3, 5) // (B, H/p, W/p, channels, p, p)
                .reshape(-1, image.Patches(), image.PatchValues),
            SeriesPatchOptions series when causal => values.unfold(1, series.Patch, series.Stride), // (B, L) → (B, N, P)
            SeriesPatchOptions series => cat([values, values.narrow(1, series.Length - 1, 1).expand(-1, series.Stride)], 1)
                .unfold(1, series.Patch, series.Stride), // (B, L + stride) → (B, N, P)
            _ => throw new ArgumentOutOfRangeException(nameof(patches), patches, "unknown patches"),
        };
    }

    private static bool HasClassToken(PatchOptions patches) => patches is ImagePatchOptions { Pooling: PatchPooling.Class };
}
