using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Models.FeedForward;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.FeedForward;

/// <summary>Equality with PyTorch, from the fixture written by Fixtures/make_activations.py.</summary>
public class FeedForwardTests
{
    private const double Tolerance = 2e-5;

    [Theory]
    [MemberData(nameof(Models.DenseKinds), MemberType = typeof(Models))]
    public void Results_and_every_gradient_are_those_of_PyTorch(string kind)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", "activations.safetensors"));
        Tensor x = fixture.Read("input").requires_grad_();
        using var stack = new StackContext(
            Models.Gpt with { Dim = (int)x.shape[^1], Attention = Models.Gpt.Attention with { Heads = 1 } }, vocabularySize: 1,
            ScalarType.Float32, causal: true);
        FeedForwardOptions options = Models.FeedForwards[kind] with { Bias = true, HiddenDim = 10 };
        using FeedForwardModule layer = options.Build(stack);
        foreach (var (name, parameter) in layer.named_parameters())
            using (no_grad()) parameter.copy_(fixture.Read($"{kind}.weight.{name}"));
        Tensor output = layer.Run(x, new AttentionContext { PositionLimit = 5 });
        output.mul(fixture.Read("direction")).sum().backward();
        TensorAssert.Close(fixture.Read($"{kind}.output"), output, Tolerance);
        TensorAssert.Close(fixture.Read($"{kind}.gradient.input"), x.grad!, Tolerance);
        foreach (var (name, parameter) in layer.named_parameters())
            TensorAssert.Close(fixture.Read($"{kind}.gradient.{name}"), parameter.grad!, Tolerance, $"the gradient of {name}");
    }

    /// <summary>What the model says of biases, and what the layer says.</summary>
    public static MatrixTheoryData<string, bool, bool?> Biases() =>
        new(Models.DenseKinds().Select(row => row.Data), [false, true], [null, false, true]);

    [Theory]
    [MemberData(nameof(Biases))]
    public void A_layer_decides_about_its_own_biases(string kind, bool model, bool? layer)
    {
        DecoderOptions options =
            Models.Gpt with { Layers = 1, Bias = model, FeedForward = Models.FeedForwards[kind] with { Bias = layer } };
        using LanguageModel built = options.Build(Models.Vocabulary);
        Assert.Equal(layer ?? model, built.named_parameters().Any(entry => entry.name == "blocks.0.feedForward.down.bias"));
        Assert.Equal(built.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(options, Models.Vocabulary).Parameters);
    }

    [Fact]
    public void Every_activation_has_a_kind_of_layer() =>
        Assert.Equal(
            Enum.GetValues<ActivationKind>(), Models.FeedForwards.Values.OfType<DenseOptions>().Select(options => options.Kind).Order());
}
