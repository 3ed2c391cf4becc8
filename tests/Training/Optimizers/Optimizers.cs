using TorchSharp.Modules;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;
using OptimizerOptions = Trainer.Training.Optimizers.OptimizerOptions;

namespace Trainer.Training.Tests.Optimizers;

/// <summary>Every optimizer, and parameters for them.</summary>
internal static class Optimizers
{
    public static IReadOnlyDictionary<string, OptimizerOptions> All { get; } = new Dictionary<string, OptimizerOptions>
    {
        ["adamw"] = new AdamWOptions(),
        ["schedule-free-adamw"] = new ScheduleFreeOptions(),
        ["muon"] = new MuonOptions(),
        ["muon-per-head"] = new MuonOptions { PerHead = true, Precision = Precision.Float32, Scale = MuonScale.Original },
        ["lion"] = new LionOptions(),
        ["adafactor"] = new AdafactorOptions(),
        ["sgd"] = new SgdOptions { WeightDecay = 0.1 },
        ["sgd-nesterov"] = new SgdOptions { Nesterov = true },
        ["sgd-plain"] = new SgdOptions { Momentum = 0 },
    };

    /// <summary>Those of a block, with two heads, and of what is outside.</summary>
    public static IReadOnlyList<HiddenMatrix> Matrices { get; } =
        [new("tall", [new(4, 2), new(8, 4)]), new("wide", [new(6)]), new("experts", [new(4), new(4)])];

    public static (string Name, Parameter Value)[] Parameters(int seed = 3)
    {
        using Generator random = new((ulong)seed);
        return
        [
            .. from shape in new (string Name, long[] Size)[]
                { ("tall", [12, 4]), ("wide", [6, 10]), ("experts", [3, 8, 5]), ("embedding", [7, 4]), ("vector", [5]) }
               select (shape.Name, new Parameter(randn(shape.Size, generator: random)))
        ];
    }

    /// <summary>Takes steps with gradients that follow from the seed and the step.</summary>
    public static void TakeSteps(Optimizer optimizer, IEnumerable<(string Name, Parameter Value)> parameters, int from, int count)
    {
        foreach (int step in Enumerable.Range(from, count))
        {
            using Generator random = new((ulong)step);
            foreach ((_, Parameter value) in parameters) value.grad = randn(value.shape, generator: random);
            optimizer.Step(0.01, tensor(0f));
        }
    }

    public static float[][] Everything(Optimizer optimizer, IEnumerable<(string Name, Parameter Value)> parameters) =>
    [
        .. optimizer.State.Select(state => Numbers(state.Value)), .. parameters.Select(parameter => Numbers(parameter.Value)),
    ];

    private static float[] Numbers(Tensor values) => values.detach().to(ScalarType.Float32).reshape(-1).data<float>().ToArray();
}
