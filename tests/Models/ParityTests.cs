using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Equality with PyTorch, from fixtures written by Fixtures/make_fixtures.py and make_architectures.py.</summary>
public class ParityTests
{
    private static readonly EncoderDecoderOptions Transformer = new()
    {
        Dim = 16,
        Layers = 2,
        ContextLength = 8,
        Bias = true,
        Attention = new MultiHeadOptions { Heads = 4 },
        Position = new SinusoidalOptions(),
        FeedForward = new GeluOptions(),
        Norm = new LayerNormOptions { Placement = NormPlacement.Post },
    };

    private static readonly EncoderOptions Bert = new()
    {
        Dim = 16,
        Layers = 2,
        ContextLength = 8,
        Bias = true,
        HeadBias = true,
        EmbeddingNorm = true,
        Attention = new MultiHeadOptions { Heads = 4 },
        Position = new LearnedOptions(),
        FeedForward = new GeluOptions(),
        Norm = new LayerNormOptions { Placement = NormPlacement.Post },
    };

    private static readonly Dictionary<string, ModelOptions> Fixtures = new()
    {
        ["gpt"] = Models.Gpt,
        ["llama"] = Models.Llama,
        ["bert"] = Bert,
        ["encoder-pre"] =
            Bert with { HeadBias = false, EmbeddingNorm = false, Position = new SinusoidalOptions(), Norm = new LayerNormOptions() },
        ["transformer"] = Transformer with { ScaleEmbeddings = true },
        ["bart"] = Transformer with { EmbeddingNorm = true, Position = new LearnedOptions() },
        ["encdec-pre"] = Transformer with { Norm = new LayerNormOptions() },
        ["sandwich"] = Models.Gpt with { Norm = new LayerNormOptions { Placement = NormPlacement.Sandwich } },
        ["latent"] = Models.Latent,
        ["hybrid"] = Models.Llama with { LayerPattern = [new LayerGroupOptions { Mixer = Models.Mamba2 }, new LayerGroupOptions()] },
        ["parallel"] = Models.Gpt with { ParallelResidual = true },
    };

    public static TheoryData<string> Names() => [.. Fixtures.Keys];

    private const double LearningRate = 1e-2, Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, Decay = 0.1;

    [Theory]
    [MemberData(nameof(Names))]
    public void Logits_and_loss_are_those_of_PyTorch(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open(name);
        using LanguageModel model = Load(name, fixture);
        ModelInput input = Input(fixture);
        TensorAssert.Close(fixture.Read("logits"), Counted(model.forward(input), fixture), 4e-5);
        Near(fixture.Read("loss").item<float>(), model.LossSum(input, fixture.Read("targets")).item<float>(), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_gradient_norm_is_that_of_PyTorch(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open(name);
        using LanguageModel model = Load(name, fixture);
        model.LossSum(Input(fixture), fixture.Read("targets")).backward();
        foreach (var (parameter, value) in model.named_parameters())
            Near(fixture.Read($"norm.{parameter}").item<float>(), value.grad!.norm().item<float>(), 1e-4);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Ten_steps_of_AdamW_have_the_losses_of_PyTorch(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open(name);
        using LanguageModel model = Load(name, fixture);
        ModelInput input = Input(fixture);
        Tensor targets = fixture.Read("targets");
        double scored = targets.ne(-100).sum().item<long>();
        AdamW[] groups =
        [
            new([.. model.parameters().Where(parameter => parameter.dim() > 1)], Decay),
            new([.. model.parameters().Where(parameter => parameter.dim() < 2)], 0),
        ];
        foreach (float expected in fixture.Read("losses").data<float>().ToArray())
        {
            foreach (Parameter parameter in model.parameters()) parameter.grad = null;
            Tensor loss = model.LossSum(input, targets).div(scored);
            Near(expected, loss.item<float>(), 2e-4);
            loss.backward();
            foreach (AdamW group in groups) group.Step();
        }
    }

    private static void Near(double expected, double actual, double relative) =>
        Assert.InRange(actual, expected - relative * Math.Abs(expected), expected + relative * Math.Abs(expected));

    private static ModelInput Input(SafetensorsFile fixture) => new(fixture.Read("tokens"))
    {
        Documents = fixture.Names.Contains("documents") ? fixture.Read("documents") : null,
        Source = fixture.Names.Contains("source") ? new(fixture.Read("source")) { Documents = fixture.Read("sourceDocuments") } : null,
    };

    // Logits of padding mean nothing: PyTorch's are put in place of ours.
    private static Tensor Counted(Tensor logits, SafetensorsFile fixture) =>
        fixture.Names.Contains("valid") ? logits.where(fixture.Read("valid").eq(1).unsqueeze(-1), fixture.Read("logits")) : logits;

    private static SafetensorsFile Open(string name) =>
        SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", $"{name}.safetensors"));

    private static LanguageModel Load(string name, SafetensorsFile fixture)
    {
        LanguageModel model = Fixtures[name].Build(Models.Vocabulary);
        var parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        Assert.Equal(
            fixture.Names.Where(entry => entry.StartsWith("weight.")).Select(entry => entry["weight.".Length..]).Order(),
            parameters.Keys.Order());
        using var gradients = no_grad();
        foreach (var (parameter, value) in parameters) value.copy_(fixture.Read($"weight.{parameter}"));
        return model;
    }

    private sealed class AdamW(IReadOnlyList<Parameter> parameters, double decay)
    {
        private readonly List<Tensor> means = [.. parameters.Select(parameter => zeros_like(parameter))];
        private readonly List<Tensor> squares = [.. parameters.Select(parameter => zeros_like(parameter))];
        private readonly List<Tensor> steps = [.. parameters.Select(_ => zeros([], ScalarType.Float32))];

        public void Step()
        {
            FusedAdamW.Step(
                [.. parameters], [.. parameters.Select(parameter => parameter.grad!)], means, squares, steps,
                LearningRate, Beta1, Beta2, decay, Epsilon);
        }
    }
}
