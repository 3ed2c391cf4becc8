// Shapes: H query heads.
using Trainer.Inference.Paging;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;

namespace Trainer.Inference;

/// <summary>A norm's weights; null pointers where it has none.</summary>
internal sealed record CpuNorm(nint Weight, nint Bias, long Width);

/// <summary>A layer of the <see cref="CpuDecoder"/>: weights in the model's memory, and what is remembered.</summary>
internal sealed unsafe class CpuLayer
{
    public required CpuNorm? AttentionNorm, AttentionOutputNorm, AttentionStreamNorm, QueryNorm, KeyNorm;
    public required CpuNorm? FeedForwardNorm, FeedForwardOutputNorm, FeedForwardStreamNorm;
    public required VectorMatrix QueryKeyValue, Output, Up, Down;
    public required ActivationKind Activation;
    public required bool RoundsHidden; // what the activation reads, as the model's kernel does
    public required int Heads, Groups, HeadDim;
    public required double Scale;
    public required float SoftCap;
    public required float* ScalableSoftmax, Slopes; // (H), or null
    public required TemperatureOptions? Temperature;
    public required CpuRotary? Rotary;
    public required KeyWindow? Window;
    public required PagedLayer Memory;

    // How many positions a position sees: sinks, then the last ones.
    public int Visible(int position) =>
        Window is { } seen ? (int)Math.Min(position + 1L, (long)seen.Window + seen.Sinks) : position + 1;

    // The position seen at a place.
    public int Seen(int i, int position) => i < (Window?.Sinks ?? 0) ? i : position + 1 - Visible(position) + i;

    // Bytes of keys and values that a query sees.
    public long HeadBytes(int position) => 2L * sizeof(float) * HeadDim * Visible(position);

    public void Activate(float* from, float* to, int count, long width)
    {
        switch (Activation)
        {
            case ActivationKind.Relu: Activations.Apply<ReluFunction>(from, to, count * width); break;
            case ActivationKind.Gelu: Activations.Apply<GeluFunction>(from, to, count * width); break;
            case ActivationKind.GeluTanh: Activations.Apply<GeluTanhFunction>(from, to, count * width); break;
            case ActivationKind.Silu: Activations.Apply<SiluFunction>(from, to, count * width); break;
            case ActivationKind.SquaredRelu: Activations.Apply<SquaredReluFunction>(from, to, count * width); break;
            case ActivationKind.Glu: Activations.ApplyGated<SigmoidFunction>(from, to, count, width); break;
            case ActivationKind.ReGlu: Activations.ApplyGated<ReluFunction>(from, to, count, width); break;
            case ActivationKind.GeGlu: Activations.ApplyGated<GeluFunction>(from, to, count, width); break;
            case ActivationKind.GeGluTanh: Activations.ApplyGated<GeluTanhFunction>(from, to, count, width); break;
            case ActivationKind.SwiGlu: Activations.ApplyGated<SiluFunction>(from, to, count, width); break;
            default: throw new InvalidOperationException($"unknown activation {Activation}");
        }
    }
}
