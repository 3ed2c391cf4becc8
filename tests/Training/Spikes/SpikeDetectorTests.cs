using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Training.Spikes;

namespace Trainer.Training.Tests.Spikes;

public sealed class SpikeDetectorTests
{
    private readonly SpikeDetector detector = new(new() { Deviations = 3, Window = 8 });

    [Theory]
    [InlineData(2.6, 1.3, null)]
    [InlineData(3.2, 1.0, "loss")]
    [InlineData(2.0, 1.4, "gradient norm")]
    [InlineData(0.0, 0.0, null)]
    [InlineData(double.NaN, 1.0, null)]
    [InlineData(2.0, double.PositiveInfinity, null)]
    public void A_step_is_a_spike_where_its_loss_or_norm_lies_above_the_mean_by_more_than_so_many_deviations(
        double loss, double norm, string? figure)
    {
        double[] losses = [1.8, 2.2, 1.7, 2.3, 2.0, 2.1, 1.9, 2.0], norms = [0.9, 1.1, 0.9, 1.1, 0.9, 1.1, 0.9, 1.1];
        foreach ((double l, double n) in losses.Zip(norms)) Assert.Null(detector.Judge(l, n));

        Spike? spike = detector.Judge(loss, norm);

        Assert.Equal(figure, spike?.Figure);
        if (spike is null) return;
        double[] before = figure == "loss" ? losses : norms;
        double mean = before.Average(), deviation = Math.Sqrt(before.Sum(value => Math.Pow(value - mean, 2)) / 7);
        Assert.Equal((mean, deviation, 8), (spike.Mean, spike.Deviation, spike.Steps));
        Assert.True(spike.Value > mean + 3 * deviation);
    }

    [Fact]
    public void Nothing_is_a_spike_before_the_window_is_half_full()
    {
        foreach (double loss in (double[])[1.0, 1.1, 0.9]) Assert.Null(detector.Judge(loss, 1));
        Assert.Null(detector.Judge(100, 1));
        Assert.NotNull(detector.Judge(1e6, 1));
    }

    [Fact]
    public void A_spike_does_not_hide_the_next_one()
    {
        for (int i = 0; i < 100; i++) detector.Judge(1 + i % 2, 1);
        Assert.NotNull(detector.Judge(1e9, 1));
        Assert.Null(detector.Judge(double.NaN, 1));
        Assert.NotNull(detector.Judge(8, 1));
        Assert.Equal(2, detector.Skipped);
        SpikeWindow window = detector.Capture();
        Assert.Equal((8, 8), (window.Losses.Count, window.GradientNorms.Count));
        Assert.Equal([1.0, 2, 1, 2, 1, 2], window.Losses.Take(6));
        Assert.Equal(1.5 + 3 * Math.Sqrt(2 / 7.0), window.Losses[6], 1e-12);
    }

    [Theory]
    [InlineData(6, 128, 2, 12)]
    [InlineData(6, 128, 100, 60)]
    [InlineData(3, 16, 1e6, 90)]
    public void A_level_that_stays_is_followed_however_far_it_is(double deviations, int window, double level, int most)
    {
        SpikeDetector watching = new(new() { Deviations = deviations, Window = window });
        for (int i = 0; i < 2 * window; i++) watching.Judge(1 + 0.1 * (i % 2), 1);
        int skipped = 0;
        while (watching.Judge(level, 1) is not null) skipped++;
        Assert.InRange(skipped, 1, most);
    }

    [Fact]
    public void A_detector_that_goes_on_from_a_checkpoint_judges_as_the_one_that_was_saved()
    {
        for (int i = 1; i < 12; i++) detector.Judge(Math.Sqrt(i), 1 / (double)i);
        detector.Judge(1e3, 1);
        SpikeDetector restored = new(new() { Deviations = 3, Window = 8 });

        restored.Restore(JsonSerializer.Deserialize<SpikeWindow>(JsonSerializer.Serialize(detector.Capture())));

        for (int i = 0; i < 12; i++)
        {
            Assert.Equal(detector.Judge(3 + i % 5, i % 7 / 7.0), restored.Judge(3 + i % 5, i % 7 / 7.0));
            Assert.Equal(detector.Skipped, restored.Skipped);
        }
    }

    [Fact]
    public void A_checkpoint_without_a_window_begins_an_empty_one()
    {
        for (int i = 0; i < 10; i++) detector.Judge(1, 1);
        detector.Restore(null);
        Assert.Equal((0, 0L), (detector.Capture().Losses.Count, detector.Capture().Skipped));
    }
}
