using TorchSharp;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Training.Spikes;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Spikes;

public sealed class LayerStatisticsTests
{
    public static TheoryData<string, int> Models => new()
    {
        { "pre", 12 },
        { "post", 11 },
        { "sandwich", 12 },
        { "parallel", 12 },
        { "encoder-decoder", 28 },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public void Every_part_is_seen_once_forwards_and_backwards_and_the_loss_is_the_same(string kind, int parts)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Build(kind);
        Tensor tokens = arange(0, 24, ScalarType.Int64).view(3, 8), targets = tokens.roll(1, 1);
        ModelInput input = new(tokens) { Source = kind == "encoder-decoder" ? new(tokens.flip(1)) : null };
        Tensor plain = model.LossSum(input, targets);
        using LayerStatistics statistics = new();

        Tensor loss = model.LossSum(input with { Observer = statistics, Repeats = true }, targets);
        Differentiation.Grad([loss], [model.parameters().First()]);

        Assert.Equal(plain.item<float>(), loss.item<float>());
        IReadOnlyList<LayerMeasurement> layers = statistics.Read();
        Assert.Equal(parts, layers.Count);
        Assert.Equal(parts, layers.Select(layer => layer.Name).Distinct().Count());
        Assert.All(layers, layer =>
        {
            Assert.All(layer.Activations, row => Assert.True(row is { Norm: > 0, Largest: > 0, NonFinite: 0 }, layer.Name));
            Assert.Equal(3, layer.Gradients.Count);
        });
        Assert.Equal([3, 8, 16], statistics.Hidden.shape);
    }

    private static LanguageModel Build(string kind)
    {
        random.manual_seed(1);
        ModelOptions options = kind == "encoder-decoder"
            ? new EncoderDecoderOptions { Dim = 16, Layers = 2, ContextLength = 8, Attention = new MultiHeadOptions { Heads = 2 } }
            : new DecoderOptions
            {
                Dim = 16,
                Layers = 2,
                ContextLength = 8,
                Attention = new MultiHeadOptions { Heads = 2 },
                ParallelResidual = kind == "parallel",
                Norm = new RmsNormOptions
                {
                    Placement = kind switch { "post" => NormPlacement.Post, "sandwich" => NormPlacement.Sandwich, _ => NormPlacement.Pre },
                },
            };
        LanguageModel model = options.Build(32);
        using (no_grad())
            foreach (var matrix in model.parameters().Where(p => p.dim() >= 2)) matrix.normal_(0, 0.2);
        return model;
    }
}
