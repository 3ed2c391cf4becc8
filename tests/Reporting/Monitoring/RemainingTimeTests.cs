using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Tests.Monitoring;

public class RemainingTimeTests
{
    [Fact]
    public void Nothing_is_claimed_before_the_first_step() => Assert.Null(new RemainingTime(100).At(TimeSpan.Zero));

    [Fact]
    public void First_estimate_is_the_steps_own_time_and_it_counts_down()
    {
        var remaining = new RemainingTime(100);
        remaining.Observe(10, TimeSpan.FromSeconds(5), stepSeconds: 2);

        Assert.Equal(180, remaining.At(TimeSpan.FromSeconds(5))!.Value.TotalSeconds, 6);
        Assert.Equal(170, remaining.At(TimeSpan.FromSeconds(15))!.Value.TotalSeconds, 6);
        Assert.Equal(0, remaining.At(TimeSpan.FromSeconds(1000))!.Value.TotalSeconds);
    }

    [Fact]
    public void Even_steps_give_the_exact_time()
    {
        var remaining = new RemainingTime(1000);
        for (var step = 10; step <= 500; step += 10)
            remaining.Observe(step, TimeSpan.FromSeconds(step * 0.5), stepSeconds: 0.4);

        Assert.Equal(250, remaining.At(TimeSpan.FromSeconds(250))!.Value.TotalSeconds, 6);
    }

    [Fact]
    public void Long_evaluations_do_not_make_the_end_jump()
    {
        // 0.1 s a step and 10 s for an evaluation after every 250 steps: 5000 steps take 700 s.
        var remaining = new RemainingTime(5000);
        var now = 0.0;
        var ends = new List<double>();
        for (var step = 10; step <= 4000; step += 10)
        {
            now += 1 + (step % 250 == 10 && step > 10 ? 10 : 0);
            remaining.Observe(step, TimeSpan.FromSeconds(now), stepSeconds: 0.1);
            if (step >= 1500)
                ends.Add(now + remaining.At(TimeSpan.FromSeconds(now))!.Value.TotalSeconds);
        }

        Assert.All(ends, end => Assert.InRange(end, 700 * 0.9, 700 * 1.1));
        Assert.All(ends.Zip(ends.Skip(1)), pair => Assert.InRange(Math.Abs(pair.Second - pair.First), 0, 700 * 0.12));
    }

    [Fact]
    public void Nonsense_step_times_claim_nothing()
    {
        var remaining = new RemainingTime(100);
        remaining.Observe(1, TimeSpan.Zero, double.NaN);

        Assert.Null(remaining.At(TimeSpan.Zero));
    }
}
