using Trainer.Kernels;
using Trainer.Models;
using Trainer.Training.Distribution;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Plan;

/// <summary>A link between machines: bytes a second in each direction, and seconds until a message arrives.</summary>
public sealed record Link(double BytesPerSecond, double LatencySeconds);

/// <summary>What several processes exchange, and how their speed grows with their number.</summary>
public sealed record RanksPlan
{
    /// <summary>Processes.</summary>
    public required int Ranks { get; init; }

    /// <summary>Sequences of a micro-batch on each.</summary>
    public required int RowsPerRank { get; init; }

    /// <summary>Whether each keeps only its share of the optimizer's state.</summary>
    public required bool ShardOptimizer { get; init; }

    /// <summary>Bytes of gradients that are added up in a step.</summary>
    public required long GradientBytes { get; init; }

    /// <summary>Bytes of the bucket that is sent when the backward pass is over.</summary>
    public required long LastBucketBytes { get; init; }

    /// <summary>Bytes of weights that the optimizer needs whole, each of which one process updates and hands out.</summary>
    public required long WholeBytes { get; init; }

    /// <summary>Bytes that each process sends, and receives, in a step: sums, or shares of sums and then weights, are the same number, and
    /// whole weights come on top.</summary>
    public long TrafficBytes => (2 * GradientBytes + WholeBytes) * (Ranks - 1) / Ranks;

    /// <summary>The speed of 2 to 1,024 processes, one on each machine; empty where no step time was given.</summary>
    public IReadOnlyList<ScalingRow> Scaling { get; init; } = [];

    /// <summary>What the speeds assume.</summary>
    public IReadOnlyList<string> Assumptions { get; init; } = [];

    internal static RanksPlan Of(
        Recipe recipe, long parameters, long blockParameters, long wholeParameters, int ranks, double? stepSeconds, Link link)
    {
        long gradients = sizeof(float) * parameters, blocks = sizeof(float) * blockParameters, whole = sizeof(float) * wholeParameters;
        long buckets = Math.Max(1, Math.Min(recipe.Model.Layers, blocks / GradientExchange.BucketBytes));
        RanksPlan plan = new()
        {
            Ranks = ranks,
            RowsPerRank = recipe.Training.MicroBatch / ranks,
            ShardOptimizer = recipe.Training.ShardOptimizer,
            GradientBytes = gradients,
            LastBucketBytes = gradients - blocks,
            WholeBytes = whole,
        };
        return stepSeconds is not { } seconds ? plan : plan with
        {
            Scaling = [.. Enumerable.Range(1, 10).Select(power => ScalingRow.Of(
                1 << power, seconds, link, [.. Enumerable.Repeat(blocks / buckets, (int)buckets), gradients - blocks], whole))],
            Assumptions =
            [
                $"a step of one process with its rows takes {seconds:G4} s, two thirds of it the backward pass; the global batch grows " +
                    "with the number of processes, each on a machine of its own",
                $"links carry {link.BytesPerSecond * 8 / 1e9:G4} Gb/s each way at once, {link.LatencySeconds * 1e6:G4} µs until a " +
                    "message arrives, and nobody else uses them",
                "a sum over n takes 2·log2(n) messages and 2·(n − 1)/n of its bytes (Rabenseifner; Thakur et al. 2005)",
                $"{buckets + 1} buckets: those of blocks travel during the backward pass, the last one after it" +
                    (whole == 0 ? "" : ", and weights that the optimizer needs whole once more behind the step"),
            ],
        };
    }
}

/// <summary>So many processes: seconds of a step, those of them that wait for the network, and speed against as many that never
/// wait.</summary>
public sealed record ScalingRow(int Ranks, double StepSeconds, double WaitingSeconds, double Efficiency)
{
    private const double Backward = 2.0 / 3;

    /// <summary>The step of processes whose buckets are ready one after the other during the backward pass.</summary>
    internal static ScalingRow Of(int ranks, double seconds, Link link, IReadOnlyList<long> buckets, long whole)
    {
        double free = 0; // when the link is
        for (int i = 0; i < buckets.Count; i++)
        {
            double ready = seconds * (1 - Backward + Backward * Math.Min(1.0, (i + 1.0) / Math.Max(1, buckets.Count - 1)));
            free = Math.Max(free, ready) + 2 * Math.Log2(ranks) * link.LatencySeconds
                + 2.0 * (ranks - 1) / ranks * buckets[i] / link.BytesPerSecond;
        }
        double handedOut = whole == 0
            ? 0
            : Math.Log2(ranks) * link.LatencySeconds + (ranks - 1.0) / ranks * whole / link.BytesPerSecond;
        double step = Math.Max(seconds, free) + handedOut;
        return new(ranks, step, step - seconds, seconds / step);
    }
}

/// <summary>What the process that keeps most of an optimizer's state has of it, as float32 numbers, and how many numbers the weights have
/// that are one process's each.</summary>
internal sealed record SharedState(double Numbers, long WholeParameters)
{
    public static SharedState Of(Recipe recipe, ParameterCounts trained, int vocabularySize, int ranks)
    {
        OptimizerOptions optimizer = recipe.Optimizer;
        double all = optimizer.StateNumbers(trained);
        if (ranks == 1 || !recipe.Training.ShardOptimizer) return new(all, 0);
        if (!optimizer.NeedsWholeMatrices) return new(all / ranks, 0);
        // Adapters are drawn; nobody else's numbers may depend on that.
        using GeneratorSnapshot random = GeneratorSnapshot.Capture(CPU);
        using IDisposable drawn = random.Return();
        using LanguageModel model = recipe.Model.BuildForInference(vocabularySize); // its weights take no memory before they are written
        if (recipe.Adapter is { } adapter) model.Attach(adapter);
        IReadOnlyDictionary<string, ParameterRole> roles = model.ParameterLayout().Roles;
        var owners = WeightOwners.Of(model, optimizer, ranks);
        ParameterCounts[] whole = new ParameterCounts[ranks];
        foreach ((string name, var weight) in model.named_parameters())
            if (owners.TryGetValue(weight, out int owner)) whole[owner] = whole[owner].With(roles[name], weight.numel());
        double[] states = [.. whole.Select(optimizer.StateNumbers)];
        return new(states.Max() + (all - states.Sum()) / ranks, whole.Sum(counts => counts.All));
    }
}
