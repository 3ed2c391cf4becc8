// Shapes: B batch, T positions, H query heads, G key-value heads, D head dimension, C model dimension.
using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Mixers;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>Flash attention of a whole sequence to itself on the CPU, over the projection's [queries | keys | values].</summary>
/// <remarks>Splits and rotates them without copies; the result is that of the kernel <c>auto</c> takes on rotated ones.</remarks>
internal sealed class FusedFlashKernel(AttentionOptions options, AttentionPattern pattern, Projection projection, int headDim)
{
    /// <summary>Whether it is a sequence without cache or observer, and nothing is applied to queries or scores.</summary>
    public bool IsSupported(Tensor x, MixerContext context) =>
        SupportsOptions && SupportsInput(x) && SupportsContext(context, (int)x.size(1));

    public Tensor Attend(Tensor x, MixerContext context, double scale, CounterDropout dropout) // (B, T, H·D)
    {
        int length = (int)x.size(1);
        PatternBand band = pattern.Band!.Value;
        RotaryAngles? angles = context.Position.Angles(context.Attention, length, x.device);
        bool rounded = FlashAttention.IsSupported(headDim, ScalarType.BFloat16);
        Tensor fused = projection.ProjectFused(x, rounded, context.Attention); // (B, T, H + 2·G, D)
        Tensor? documents = context.Attention.Documents?.Spans(length);
        // (B, T, H, D)
        Tensor heads = FlashAttention.AttendPacked(fused, projection.KeyHeads, scale, band.Before, band.After, angles, dropout, documents);
        return heads.view(x.size(0), length, projection.OutputWidth);
    }

    private bool SupportsOptions =>
        projection.CanFuse && pattern.Band is not null
        && options.Kernel is AttentionKernel.Auto or AttentionKernel.Flash or AttentionKernel.BlockSparse
        && options is { SoftCap: null, ScalableSoftmax: false, Temperature: null }
        && headDim <= FlashKernel.LargestHead && FlashAttention.IsSupported(headDim, ScalarType.Float32);

    private static bool SupportsInput(Tensor x) =>
        x.device_type == DeviceType.CPU && x.size(0) > 0 && x.size(1) >= AttentionCall.FewestRows;

    private static bool SupportsContext(MixerContext context, int length) =>
        context.State is null && context.Attention.Observer is null && !context.Position.AddsBias
        && (context.Attention.Documents is not { } documents || documents.Spans(length) is not null);
}
