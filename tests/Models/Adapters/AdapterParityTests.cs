using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Adapters;

/// <summary>Equality with PEFT's arithmetic in PyTorch, from lora.safetensors, written by Fixtures/make_lora.py.</summary>
public sealed class AdapterParityTests
{
    private const double LearningRate = 1e-2, Beta1 = 0.9, Beta2 = 0.95, Epsilon = 1e-8, Decay = 0.1;

    private static readonly LoraOptions Lora = new() { Rank = 2, Alpha = 3, Targets = ["query", "value", "gate", "down"] };

    private static readonly Dictionary<string, LoraOptions> Cases = new()
    {
        ["lora"] = Lora,
        ["rslora"] = Lora with { RankStabilized = true },
        ["dora"] = Lora with { WeightDecomposed = true },
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Ten_steps_are_those_of_PyTorch(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile llama = Open("llama"), fixture = Open("lora");
        using LanguageModel model = Build(Cases[name], llama, fixture);
        Dictionary<string, Parameter> trained = Trained(model);
        Tensor tokens = llama.Read("tokens"), targets = llama.Read("targets");
        double scored = targets.ne(-100).sum().item<long>();
        AdamW[] groups = [new([.. trained.Values.Where(p => p.dim() > 1)], Decay), new([.. trained.Values.Where(p => p.dim() < 2)], 0)];

        float[] losses = fixture.Read($"{name}.losses").data<float>().ToArray();
        for (int step = 0; step < losses.Length; step++)
        {
            foreach (Parameter parameter in trained.Values) parameter.grad = null;
            Tensor loss = model.LossSum(tokens, targets).div(scored);
            Assert.Equal(losses[step], loss.item<float>(), 2e-4 * losses[step]);
            if (step == losses.Length - 1) break;
            loss.backward();
            if (step == 0)
                foreach ((string parameter, Parameter value) in trained)
                    TensorAssert.Close(fixture.Read($"{name}.norm.{parameter}"), value.grad!.norm().view(1), 1e-4, parameter);
            foreach (AdamW group in groups) group.Step();
        }

        foreach ((string parameter, Parameter value) in trained.Where(entry => entry.Key.StartsWith("blocks.1.")))
            TensorAssert.Close(fixture.Read($"{name}.{parameter}"), value.detach(), 1e-3, parameter);
    }

    private static SafetensorsFile Open(string name) =>
        SafetensorsFile.Open(Path.Combine(AppContext.BaseDirectory, "Fixtures", $"{name}.safetensors"));

    private static LanguageModel Build(LoraOptions options, SafetensorsFile llama, SafetensorsFile fixture)
    {
        using IDisposable quiet = no_grad();
        LanguageModel model = Models.Llama.Build(Models.Vocabulary);
        foreach (var (name, value) in model.named_parameters()) value.copy_(llama.Read($"weight.{name}"));
        model.Attach(options);
        foreach ((string name, Parameter value) in Trained(model))
            if (!name.EndsWith("magnitude")) value.copy_(fixture.Read($"start.{name}"));
        return model;
    }

    // By the names of PyTorch's script: blocks.0.mixer.projection.query.loraA.
    private static Dictionary<string, Parameter> Trained(LanguageModel model)
    {
        Dictionary<string, Parameter> parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        return (
            from target in AdapterTargets.Of(model)
            from part in (string[])["loraA", "loraB", "magnitude"]
            let parameter = parameters.GetValueOrDefault($"{target.Update}.{part}")
            where parameter is not null
            select (Name: $"{target.Name}.{part}", Value: parameter)
        ).ToDictionary(entry => entry.Name, entry => entry.Value);
    }

    private sealed class AdamW(IReadOnlyList<Parameter> parameters, double decay)
    {
        private readonly List<Tensor> means = [.. parameters.Select(parameter => zeros_like(parameter))];
        private readonly List<Tensor> squares = [.. parameters.Select(parameter => zeros_like(parameter))];
        private readonly List<Tensor> steps = [.. parameters.Select(_ => zeros([], ScalarType.Float32))];

        public void Step()
        {
            if (parameters.Count == 0) return;
            FusedAdamW.Step(
                [.. parameters], [.. parameters.Select(parameter => parameter.grad!)], means, squares, steps,
                LearningRate, Beta1, Beta2, decay, Epsilon);
        }
    }
}
