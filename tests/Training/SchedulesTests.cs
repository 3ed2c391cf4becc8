using Trainer.Configuration;

namespace Trainer.Training.Tests;

public sealed class SchedulesTests
{
    private const double Peak = 1e-3;

    /// <summary>The values are those of nanoGPT's get_lr with warmup_iters 100, lr_decay_iters 2000, min_lr 1e-4.</summary>
    [Theory]
    [InlineData(0, 9.900990099009901e-06)]
    [InlineData(1, 1.9801980198019803e-05)]
    [InlineData(99, 0.0009900990099009901)]
    [InlineData(100, 0.001)]
    [InlineData(101, 0.0009999993848585915)]
    [InlineData(1050, 0.00055)]
    [InlineData(1999, 0.00010000061514140841)]
    [InlineData(2000, 0.0001)]
    [InlineData(2001, 0.0001)]
    public void Cosine_is_nanoGPTs(long step, double expected)
    {
        var schedule = new CosineSchedule { WarmupSteps = 100, MinimumLearningRate = 1e-4 };

        Assert.Equal(expected, schedule.LearningRate(step, 2000, Peak), 1e-17);
    }

    [Fact]
    public void Linear_falls_in_equal_parts()
    {
        var schedule = new LinearSchedule { WarmupSteps = 10, MinimumLearningRate = 2e-4 };

        Assert.Equal(Peak, schedule.LearningRate(10, 110, Peak), 1e-12);
        Assert.Equal(6e-4, schedule.LearningRate(60, 110, Peak), 1e-12);
        Assert.Equal(2e-4, schedule.LearningRate(110, 110, Peak), 1e-12);
    }

    [Fact]
    public void Constant_stays_at_the_peak_after_the_warmup()
    {
        var schedule = new ConstantSchedule { WarmupSteps = 3 };

        double[] rates = [.. Enumerable.Range(0, 6).Select(step => schedule.LearningRate(step, 6, 1.0))];

        Assert.Equal([0.25, 0.5, 0.75, 1, 1, 1], rates);
    }

    [Fact]
    public void Warmup_stable_decay_stays_and_then_falls_over_its_last_part()
    {
        var schedule = new WarmupStableDecaySchedule { WarmupSteps = 1, DecayFraction = 0.4, MinimumLearningRate = 0.2 };

        double[] rates = [.. Enumerable.Range(0, 11).Select(step => Math.Round(schedule.LearningRate(step, 10, 1.0), 12))];

        Assert.Equal([0.5, 1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2], rates);
    }

    [Fact]
    public void A_fixed_end_of_the_decay_makes_lengthening_a_run_change_nothing_before_it()
    {
        var schedule = new CosineSchedule { WarmupSteps = 5, DecaySteps = 50 };

        for (int step = 0; step < 50; step++)
            Assert.Equal(schedule.LearningRate(step, 50, Peak), schedule.LearningRate(step, 500, Peak));
        Assert.Equal(0, schedule.LearningRate(51, 500, Peak));
    }

    [Fact]
    public void A_warmup_as_long_as_the_run_never_divides_by_zero()
    {
        var schedule = new CosineSchedule { WarmupSteps = 4, MinimumLearningRate = 1e-4 };

        Assert.Equal(Peak, schedule.LearningRate(4, 4, Peak));
    }

    [Fact]
    public void Rules_name_both_values()
    {
        Problem[] problems =
        [
            .. new CosineSchedule { WarmupSteps = 20, MinimumLearningRate = 0.01, DecaySteps = 15 }.ValidateFor(10, Peak),
        ];

        Assert.Equal(
            [
                new("minimumLearningRate", "minimumLearningRate (0.01) must be at most optimizer.learningRate (0.001)"),
                new("decaySteps", "decaySteps (15) must be at least warmupSteps (20): the decay begins where the warm-up ends"),
            ],
            problems);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_run_shorter_than_its_warmup_only_rises(bool stable)
    {
        ScheduleOptions schedule = stable ? new WarmupStableDecaySchedule { WarmupSteps = 20 } : new CosineSchedule { WarmupSteps = 20 };

        Assert.Empty(schedule.ValidateFor(10, Peak));
        double[] rates = [.. Enumerable.Range(0, 10).Select(step => schedule.LearningRate(step, 10, Peak))];
        Assert.Equal(rates.Order(), rates);
        Assert.True(rates[^1] < Peak);
    }
}
