using Trainer.Configuration;
using Trainer.Reporting.Runs;

namespace Trainer.Reporting.Sweeps;

/// <summary>A configuration of a sweep and what its runs came to. Losses are best validation losses in nats per token.</summary>
public sealed record SweepResult
{
    /// <summary>Its number in the sweep's definition.</summary>
    public required int Configuration { get; init; }

    /// <summary>A value for each of the settings that the sweep varies.</summary>
    public required IReadOnlyList<string> Values { get; init; }

    /// <summary>Runs of it that are there, finished or not.</summary>
    public required int Runs { get; init; }

    /// <summary>Runs of it that failed.</summary>
    public required int Failed { get; init; }

    /// <summary>Whether all of its runs have taken all of their steps.</summary>
    public required bool IsComplete { get; init; }

    /// <summary>Whether it was dropped at a rung of successive halving.</summary>
    public required bool IsDropped { get; init; }

    /// <summary>Over the seeds whose runs did not fail; null where none has a loss.</summary>
    public required double? Mean { get; init; }

    /// <summary>The standard deviation over seeds; null with fewer than two.</summary>
    public required double? Deviation { get; init; }

    /// <summary>The most steps that a run of it has recorded.</summary>
    public required long Steps { get; init; }

    /// <summary>The time of all its runs, in steps and evaluations.</summary>
    public required double Minutes { get; init; }

    /// <summary>The best loss of each seed whose run has one and did not fail.</summary>
    public required IReadOnlyDictionary<long, double> Losses { get; init; }

    /// <summary>Its difference to the best configuration, paired by seed; null of the best one, and where runs are not complete.</summary>
    public PairedTest? ToBest { get; init; }
}

/// <summary>The results of a sweep, best first: configurations that are complete, then others by how far they came.</summary>
public sealed record SweepResults(SweepDefinition Definition, IReadOnlyList<SweepResult> Rows)
{
    /// <summary>The best of the complete configurations; null where none is.</summary>
    public SweepResult? Best => Rows.FirstOrDefault(row => row is { IsComplete: true, Mean: not null });

    /// <summary>Reads the records of a sweep's runs, finished or not.</summary>
    /// <exception cref="UserException">It is no sweep's directory, or a file cannot be read.</exception>
    public static SweepResults Read(string directory, Action<string> warn) => Of(SweepRecord.Load(directory), run =>
        RunMetrics.Read(Path.Combine(directory, run.Name), warn));

    internal static SweepResults Of(SweepRecord sweep, Func<SweepRun, RunMetrics> read)
    {
        SweepDefinition definition = sweep.Definition;
        SweepResult[] rows = [.. definition.Runs.GroupBy(run => run.Configuration)
            .Select(runs => Row(sweep, runs.Key, [.. runs], read))
            .OrderByDescending(row => row.IsComplete && row.Mean is not null).ThenByDescending(row => row.IsComplete ? 0 : row.Steps)
            .ThenBy(row => row.Failed > 0).ThenBy(row => row.Mean ?? double.PositiveInfinity).ThenBy(row => row.Configuration)];
        SweepResults results = new(definition, rows);
        return results.Best is not { } best
            ? results
            : results with { Rows = [.. rows.Select(row => row with { ToBest = row == best ? null : Compare(row, best) })] };
    }

    private static PairedTest? Compare(SweepResult row, SweepResult best)
    {
        if (!row.IsComplete) return null;
        long[] seeds = [.. row.Losses.Keys.Intersect(best.Losses.Keys)];
        return PairedTest.Of([.. seeds.Select(seed => row.Losses[seed])], [.. seeds.Select(seed => best.Losses[seed])]);
    }

    private static SweepResult Row(SweepRecord sweep, int configuration, SweepRun[] runs, Func<SweepRun, RunMetrics> read)
    {
        RunMetrics[] metrics = [.. runs.Select(read)];
        SweepOutcome[] outcomes = [.. runs.Select(sweep.OutcomeOf)];
        Dictionary<long, double> losses = runs.Zip(metrics, outcomes)
            .Where(run => run.Third.Status != SweepStatus.Failed && run.Second.Best is not null)
            .ToDictionary(run => run.First.Seed, run => run.Second.Best!.Loss);
        return new SweepResult
        {
            Configuration = configuration,
            Values = sweep.Definition.Configurations[configuration].Values,
            Runs = metrics.Count(run => !run.IsEmpty),
            Failed = outcomes.Count(outcome => outcome.Status == SweepStatus.Failed),
            // What failed will not take more steps either, and does not keep the other seeds from being compared.
            IsComplete = outcomes.All(outcome => outcome.Status is SweepStatus.Completed or SweepStatus.Failed)
                && outcomes.Any(outcome => outcome.Status == SweepStatus.Completed),
            IsDropped = outcomes.Any(outcome => outcome.Status == SweepStatus.Dropped),
            Mean = losses.Count == 0 ? null : losses.Values.Average(),
            Deviation = Spread.Deviation(losses.Values),
            Steps = metrics.Max(LastStep),
            Minutes = metrics.Sum(Seconds) / 60,
            Losses = losses,
        };
    }

    private static long LastStep(RunMetrics run) => run.Steps is [.., var last] ? last.Step : 0;

    private static double Seconds(RunMetrics run) => Math.Max(
        run.Steps is [.., { Seconds: { } steps }] ? steps : 0, run.Evaluations is [.., { Seconds: { } evaluations }] ? evaluations : 0);
}
