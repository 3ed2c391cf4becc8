using Trainer.Reporting.Sweeps;

namespace Trainer.Reporting.Tests.Sweeps;

public sealed class SweepTableTests
{
    [Fact]
    public void The_table_has_a_line_for_each_configuration_and_says_how_each_ended()
    {
        SweepResults results = Results(
            Row("2e-3", runs: 3, mean: 1.5, deviation: 0.01, steps: 1200, minutes: 2.5),
            Row("1e-3", runs: 2, mean: 1.65, deviation: 0.0707, steps: 1200, minutes: 1.5) with
            {
                Failed = 1, ToBest = new(2, 0.15, -0.4853, 0.7853, 0.195),
            },
            Row("8e-3", runs: 1, mean: 1.7, deviation: null, steps: 600, minutes: 0.4) with { IsComplete = false },
            Row("4e-3", runs: 3, mean: 2, deviation: 0.2, steps: 300, minutes: 0.5) with { IsComplete = false, IsDropped = true });

        Assert.Equal(
            [
                "runs/x-sweep: 4 configurations, 9 runs; best validation loss, mean over seeds",
                "rate  runs    loss  deviation  steps  minutes  to best      95 % interval      p",
                "2e-3     3  1.5000   ± 0.0100  1,200      2.5                                              best",
                "1e-3     2  1.6500   ± 0.0707  1,200      1.5  +0.1500  -0.4853 … +0.7853  0.195       1 failed",
                "8e-3     1  1.7000          –    600      0.4                                        unfinished",
                "4e-3     3  2.0000   ± 0.2000    300      0.5                                     stopped early",
                "differences are paired by seed; p is that of Student's t test for one comparison: of many, some are small by chance",
                "one page of it: report runs/x-sweep",
            ],
            SweepTable.Lines("runs/x-sweep", results));
    }

    [Fact]
    public void With_one_seed_there_is_a_difference_without_interval_and_nothing_is_said_of_a_test()
    {
        SweepResults results = Results(
            Row("2e-3", runs: 1, mean: 1.5, deviation: null, steps: 40, minutes: 0.5),
            Row("1e-3", runs: 1, mean: 1.75, deviation: null, steps: 40, minutes: 0.5) with { ToBest = new(1, 0.25, null, null, null) });

        Assert.Equal(
            [
                "runs/x-sweep: 2 configurations, 2 runs; best validation loss, mean over seeds",
                "rate  runs    loss  deviation  steps  minutes  to best  95 % interval  p",
                "2e-3     1  1.5000          –     40      0.5                             best",
                "1e-3     1  1.7500          –     40      0.5  +0.2500",
                "one page of it: report runs/x-sweep",
            ],
            SweepTable.Lines("runs/x-sweep", results));
    }

    /// <summary>The first row is the best.</summary>
    private static SweepResults Results(params SweepResult[] rows) => new(
        new SweepDefinition
        {
            Recipe = "x.json", Settings = [], Seeds = 3, Rungs = [], Varied = ["rate"], Configurations = [], Runs = [],
        },
        rows);

    private static SweepResult Row(string rate, int runs, double mean, double? deviation, long steps, double minutes) => new()
    {
        Configuration = 0, Values = [rate], Runs = runs, Failed = 0, IsComplete = true, IsDropped = false, Mean = mean,
        Deviation = deviation, Steps = steps, Minutes = minutes, Losses = new Dictionary<long, double>(),
    };
}
