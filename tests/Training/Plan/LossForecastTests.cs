using Trainer.Training.Plan;

namespace Trainer.Training.Tests.Plan;

public sealed class LossForecastTests
{
    // By bytes, with a model of depth 2: losses after 0.37 and 1.1 million tokens, 4,096 a step, and of two after 0.18 and 1.1, 2,048 a step.
    [Theory]
    [InlineData("API documentation", 10.9, 0.369, 2.041, 1.234, 11.9, 0.899)]
    [InlineData("Python", 8.3, 0.369, 2.125, 1.557, 11.9, 1.191)]
    [InlineData("books on Rust", 1.9, 0.369, 2.301, 1.687, 11.9, 1.328)]
    [InlineData("Shakespeare", 1.06, 0.369, 2.123, 1.740, 11.9, 1.567)]
    [InlineData("Shakespeare", 1.06, 0.184, 2.348, 1.710, 16.7, 1.542)]
    [InlineData("C#", 3.45, 0.184, 2.414, 1.213, 18.4, 0.903)]
    public void Runs_of_several_texts_are_foretold_within_a_twentieth(
        string text, double megabytes, double few, double shorter, double longer, double millions, double reached)
    {
        const double Parameters = 0.434816;

        double forecast = LossForecast.Of(
            (few, shorter), (1.106, longer), millions, millions / megabytes * Parameters / megabytes);

        Assert.True(Math.Abs(forecast / reached - 1) < 0.05, $"{text}: {forecast} instead of {reached}");
    }

    [Fact]
    public void The_loss_falls_with_the_tokens_from_that_of_the_longer_run_and_rises_with_what_is_learned_by_heart()
    {
        double[] forecasts = [.. new[] { 3e5, 1e6, 1e7, 1e9 }.Select(tokens => LossForecast.Of((1e5, 2.4), (3e5, 2), tokens, 0))];

        Assert.Equal(2, forecasts[0]);
        Assert.Equal(forecasts.OrderDescending(), forecasts);
        Assert.True(forecasts[^1] > 0.5);
        Assert.True(LossForecast.Of((1e5, 2.4), (3e5, 2), 1e7, 2) > forecasts[2]);
    }

    [Fact]
    public void Runs_of_one_length_and_one_shorter_than_these_tell_nothing()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => LossForecast.Of((1e5, 2), (1e5, 2), 1e7, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => LossForecast.Of((1e5, 2), (3e5, 1.5), 2e5, 0));
    }
}
