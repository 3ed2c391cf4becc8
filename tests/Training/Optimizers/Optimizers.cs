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
    private static ParameterGroupsOptions Groups => new()
    {
        Embeddings = new() { LearningRate = 0.002, WeightDecay = 0 },
        Matrices = new() { LearningRate = 0.0005 },
        Vectors = new() { WeightDecay = 0.1 },
    };

    public static IReadOnlyDictionary<string, OptimizerOptions> All { get; } = new Dictionary<string, OptimizerOptions>
    {
        ["adamw"] = new AdamWOptions(),
        ["adamw-average"] = new AdamWOptions { Average = new() { Decay = 0.9 } },
        ["adamw-8bit"] = new AdamWOptions { MomentPrecision = MomentPrecision.Int8, FewestNumbers = 1 },
        ["adamw-groups"] = new AdamWOptions { Groups = Groups },
        ["schedule-free-adamw"] = new ScheduleFreeOptions(),
        ["muon"] = new MuonOptions(),
        ["muon-per-head"] = new MuonOptions { PerHead = true, Precision = Precision.Float32, Scale = MuonScale.Original },
        ["muon-average-groups"] = new MuonOptions { Average = new(), Groups = Groups },
        ["lion"] = new LionOptions(),
        ["adafactor"] = new AdafactorOptions(),
        ["sgd"] = new SgdOptions { WeightDecay = 0.1 },
        ["sgd-nesterov"] = new SgdOptions { Nesterov = true },
        ["sgd-plain"] = new SgdOptions { Momentum = 0 },
    };

    /// <summary>Those of a block, with two heads, and of what is outside.</summary>
    public static ParameterLayout Layout { get; } = new(
        new Dictionary<string, ParameterRole>
        {
            ["tall"] = ParameterRole.Matrix,
            ["wide"] = ParameterRole.Matrix,
            ["experts"] = ParameterRole.Matrix,
            ["embedding"] = ParameterRole.Embedding,
            ["vector"] = ParameterRole.Vector,
            ["w"] = ParameterRole.Matrix,
            ["w.0"] = ParameterRole.Matrix,
            ["w.1"] = ParameterRole.Matrix,
        },
        [new("tall", [new(4, 2), new(8, 4)]), new("wide", [new(6)]), new("experts", [new(4), new(4)])]);

    /// <summary>A layout of matrices alone; other parameters are what their name says.</summary>
    public static ParameterLayout LayoutOf(string[] parameters, params HiddenMatrix[] matrices) => new(
        parameters.ToDictionary(name => name, name => name switch
        {
            "embedding" => ParameterRole.Embedding,
            "head" => ParameterRole.Head,
            _ => ParameterRole.Matrix,
        }),
        matrices);

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
