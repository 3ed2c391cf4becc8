using Trainer.Configuration;
using Trainer.Reporting.Runs;
using Trainer.Reporting.Sweeps;

namespace Trainer.Reporting.Tests.Sweeps;

public sealed class SweepResultsTests
{
    private static readonly SweepDefinition Definition = new()
    {
        Recipe = "x.json",
        Settings = ["rate=1,2,3"],
        Seeds = 3,
        Rungs = [],
        Varied = ["rate"],
        Configurations = [new(["1"]), new(["2"]), new(["3"])],
        Runs = [.. from configuration in Enumerable.Range(0, 3) from seed in Enumerable.Range(1, 3)
            select new SweepRun($"{configuration}-{seed}", configuration, seed)],
    };

    [Fact]
    public void Configurations_are_ordered_by_their_mean_and_compared_with_the_best_seed_by_seed()
    {
        double[] offsets = [0, -0.5, 0.5];
        SweepResults results = Results(completed: _ => true, run => 2 + run.Seed + offsets[run.Configuration]);

        Assert.Equal([1, 0, 2], results.Rows.Select(row => row.Configuration));
        Assert.Equal((3.5, 1.0, 3, 100L), (results.Best!.Mean, results.Best.Deviation, results.Best.Runs, results.Best.Steps));
        Assert.Null(results.Best.ToBest);
        // Seeds differ by far more than configurations, which pairs take out.
        Assert.Equal(new PairedTest(3, 0.5, 0.5, 0.5, 0), results.Rows[1].ToBest);
        Assert.Equal(1.0, results.Rows[2].ToBest!.Mean);
    }

    [Fact]
    public void A_failed_run_is_counted_and_left_out_of_mean_and_pairs_and_its_configuration_is_not_the_best()
    {
        SweepResults results = Results(run => run.Name != "0-1", run => run.Configuration + run.Seed);
        SweepResult failed = results.Rows.Single(row => row.Configuration == 0);
        Assert.Equal((1, 2.5, true, 2), (failed.Failed, failed.Mean, failed.IsComplete, failed.Losses.Count));
        Assert.Equal(1, results.Best!.Configuration);
        Assert.Equal(2, failed.ToBest!.Pairs);
    }

    [Fact]
    public void What_was_dropped_at_a_rung_comes_after_what_is_complete_and_is_not_compared()
    {
        SweepRecord sweep = new(Definition with { Rungs = [10] }, Definition.Runs.ToDictionary(run => run.Name, run =>
            run.Configuration == 2 ? new SweepOutcome(SweepStatus.Completed, 100) : new SweepOutcome(SweepStatus.Dropped, 10)));
        SweepResults results = SweepResults.Of(sweep, run => Metrics(run.Configuration == 2 ? 100 : 10, 3 - run.Configuration));
        Assert.Equal([2, 1, 0], results.Rows.Select(row => row.Configuration));
        Assert.Equal([false, true, true], results.Rows.Select(row => row.IsDropped));
        Assert.All(results.Rows, row => Assert.Null(row.ToBest));
    }

    [Fact]
    public void Nothing_done_yet_has_no_best()
    {
        SweepRecord sweep = new(Definition, new Dictionary<string, SweepOutcome>());
        SweepResults results = SweepResults.Of(sweep, _ => new RunMetrics([], [], 0));
        Assert.Null(results.Best);
        Assert.All(results.Rows, row => Assert.Equal((0, null, 0L), (row.Runs, row.Mean, row.Steps)));
    }

    [Fact]
    public void The_file_reads_back_and_what_is_none_is_refused()
    {
        using RunFolder folder = new();
        SweepRecord sweep = new(Definition with { Random = 3, DrawSeed = 5, Halving = 3, Rungs = [10] },
            new Dictionary<string, SweepOutcome> { ["0-1"] = new(SweepStatus.Failed, 10, "training stopped") }) { Jobs = 2 };
        sweep.Save(folder.Root);
        SweepRecord read = SweepRecord.Load(folder.Root);
        Assert.Equal(SweepRecord.ToJson(sweep), SweepRecord.ToJson(read));
        Assert.Equal(2, read.Jobs);
        Assert.Equal(SweepStatus.Pending, read.OutcomeOf(Definition.Runs[1]).Status);
        Assert.True(SweepRecord.IsIn(folder.Root));

        File.WriteAllText(Path.Combine(folder.Root, "sweep.json"), "{}");
        Assert.Contains("sweep.json: ", Assert.Throws<UserException>(() => SweepRecord.Load(folder.Root)).Message);
    }

    private static SweepResults Results(Func<SweepRun, bool> completed, Func<SweepRun, double> loss) => SweepResults.Of(
        new SweepRecord(Definition, Definition.Runs.ToDictionary(run => run.Name, run =>
            completed(run) ? new SweepOutcome(SweepStatus.Completed, 100) : new SweepOutcome(SweepStatus.Failed, 100, "no"))),
        run => Metrics(100, loss(run)));

    private static RunMetrics Metrics(long step, double loss) => new(
        [new StepRecord(step, step * 64, 60, loss, 1e-3, 1, 64)], [new EvaluationRecord(step, 60, loss)], 0);
}
