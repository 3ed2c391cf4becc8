using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Models.Devices;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;
using OptimizerOptions = Trainer.Training.Optimizers.OptimizerOptions;

namespace Trainer.Training.Tests.Optimizers;

/// <summary>Ten steps against PyTorch's optimizers and the authors' code, from Fixtures/make_optimizers.py.</summary>
public sealed class OptimizerParityTests
{
    private static readonly MuonOptions Muon = new()
    {
        LearningRate = 0.02,
        Precision = Precision.Float32,
        Adamw = new AdamWOptions { LearningRate = 0.004, WeightDecay = 0.3 },
    };

    private static readonly Dictionary<string, OptimizerOptions> Cases = new()
    {
        ["sgd"] = new SgdOptions { LearningRate = 0.05, WeightDecay = 0.1 },
        ["sgd-nesterov"] = new SgdOptions { LearningRate = 0.05, WeightDecay = 0.1, Momentum = 0.8, Nesterov = true },
        ["sgd-plain"] = new SgdOptions { LearningRate = 0.05, Momentum = 0 },
        ["adafactor"] = new AdafactorOptions { LearningRate = 0.05, WeightDecay = 0.1 },
        ["lion"] = new LionOptions { LearningRate = 0.003 },
        ["schedule-free"] = new ScheduleFreeOptions { LearningRate = 0.01 },
        ["schedule-free-power"] = new ScheduleFreeOptions { LearningRate = 0.01, AveragePower = 2 },
        ["muon"] = Muon,
        ["muon-original"] = Muon with { Scale = MuonScale.Original, Nesterov = false },
        ["muon-heads"] = Muon with { Scale = MuonScale.Original, PerHead = true },
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Ten_steps_are_those_of_the_reference(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using SafetensorsFile fixture = SafetensorsFile.Open(
            Path.Combine(AppContext.BaseDirectory, "Optimizers", "Fixtures", "optimizers.safetensors"));
        (string Name, Parameter Value)[] parameters =
            [.. Optimizers.Parameters().Select(p => (p.Name, new Parameter(fixture.Read($"weight.{p.Name}"))))];
        using Optimizer optimizer = Cases[name].Build(parameters, layout: Optimizers.Layout);

        for (int step = 0; step < 10; step++)
        {
            foreach ((string parameter, Parameter value) in parameters)
                value.grad = fixture.Read($"gradients.{parameter}").select(0, step).contiguous();
            double warmup = name.StartsWith("schedule-free") ? Math.Min(1, (step + 1) / 4.0) : 1;
            optimizer.Step(Cases[name].LearningRate * warmup, tensor(0f));
        }

        foreach ((string parameter, Parameter value) in parameters)
            TensorAssert.Close(fixture.Read($"{name}.{parameter}"), value.detach(), 2e-5, parameter);
        if (!name.StartsWith("schedule-free")) return;
        using IDisposable? averages = optimizer.UseAverages();
        foreach ((string parameter, Parameter value) in parameters)
            TensorAssert.Close(fixture.Read($"{name}.average.{parameter}"), value.detach(), 2e-5, parameter);
    }
}
