using TorchSharp;
using TorchSharp.Modules;
using Trainer.Torch;
using static TorchSharp.torch;

namespace Trainer.Transformers.Tests;

/// <summary>Equality with PyTorch, from fixtures written by Fixtures/make_fixtures.py.</summary>
public class ParityTests
{
    private const double LearningRate = 1e-2, Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, Decay = 0.1;

    [Theory]
    [InlineData("gpt")]
    [InlineData("llama")]
    [InlineData("latent")]
    [InlineData("hybrid")]
    public void Logits_and_loss_equal(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open(name);
        using LanguageModel model = Load(name, fixture);
        Tensor tokens = fixture.Read("tokens"), targets = fixture.Read("targets");
        Assert.InRange(Models.LargestDifference(fixture.Read("logits"), model.forward(tokens)), 0, 2e-5);
        Near(fixture.Read("loss").item<float>(), model.LossSum(tokens, targets).item<float>(), 1e-5);
    }

    [Theory]
    [InlineData("gpt")]
    [InlineData("llama")]
    [InlineData("latent")]
    [InlineData("hybrid")]
    public void Every_gradient_norm_equals(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open(name);
        using LanguageModel model = Load(name, fixture);
        model.LossSum(fixture.Read("tokens"), fixture.Read("targets")).backward();
        foreach (var (parameter, value) in model.named_parameters())
            Near(fixture.Read($"norm.{parameter}").item<float>(), value.grad!.norm().item<float>(), 1e-4);
    }

    [Theory]
    [InlineData("gpt")]
    [InlineData("llama")]
    [InlineData("latent")]
    [InlineData("hybrid")]
    public void Ten_steps_of_AdamW_follow_the_same_losses(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = Open(name);
        using LanguageModel model = Load(name, fixture);
        Tensor tokens = fixture.Read("tokens"), targets = fixture.Read("targets");
        double scored = targets.ne(-100).sum().item<long>();
        AdamW[] groups =
        [
            new([.. model.parameters().Where(parameter => parameter.dim() > 1)], Decay),
            new([.. model.parameters().Where(parameter => parameter.dim() < 2)], 0),
        ];
        foreach (float expected in fixture.Read("losses").data<float>().ToArray())
        {
            foreach (Parameter parameter in model.parameters()) parameter.grad = null;
            Tensor loss = model.LossSum(tokens, targets).div(scored);
            Near(expected, loss.item<float>(), 2e-4);
            loss.backward();
            foreach (AdamW group in groups) group.Step();
        }
    }

    private static void Near(double expected, double actual, double relative) =>
        Assert.InRange(actual, expected - relative * Math.Abs(expected), expected + relative * Math.Abs(expected));

    private static SafetensorsFile Open(string name) =>
        SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", $"{name}.safetensors"));

    private static LanguageModel Load(string name, SafetensorsFile fixture)
    {
        LanguageModel model = Models.Parity(name).Build(Models.Vocabulary);
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
