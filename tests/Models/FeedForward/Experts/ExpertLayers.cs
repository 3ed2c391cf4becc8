using Trainer.Models.FeedForward.Experts;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.FeedForward.Experts;

/// <summary>Layers of experts on their own.</summary>
internal static class ExpertLayers
{
    public const int Dim = 6;

    /// <summary>A layer with weights large enough for the experts to differ.</summary>
    public static ExpertsFeedForward Build(ExpertsOptions options, int dim = Dim, ScalarType type = ScalarType.Float32)
    {
        using var stack = new StackContext(
            Models.Gpt with { Dim = dim, Attention = Models.Gpt.Attention with { Heads = 1 } }, vocabularySize: 1, type, causal: true);
        var layer = (ExpertsFeedForward)options.Build(stack);
        manual_seed(11);
        using var gradients = no_grad();
        foreach (var (_, parameter) in layer.named_parameters()) parameter.normal_(0, 0.5);
        return layer;
    }

    public static AttentionContext Pass(bool training = true) => new() { PositionLimit = 64, Auxiliary = training ? new() : null };
}
