using Trainer.Training.Plan;

namespace Trainer.Training.Tests.Plan;

public sealed class LossForecastTests
{
    // By bytes, with a model of depth 2 and 4,096 tokens a step: losses after 90, 270 and 2,900 steps.
    [Theory]
    [InlineData("API documentation", 10.9, 2.041, 1.234, 0.899)]
    [InlineData("Python", 8.3, 2.125, 1.557, 1.191)]
    [InlineData("books on Rust", 1.9, 2.301, 1.687, 1.328)]
    [InlineData("Shakespeare", 1.06, 2.123, 1.740, 1.567)]
    public void Runs_of_several_texts_are_foretold_within_a_twentieth(
        string text, double megabytes, double shorter, double longer, double reached)
    {
        const double Parameters = 434_816, StepTokens = 4096;
        double tokens = 2900 * StepTokens, unique = megabytes * 1e6;

        double forecast = LossForecast.Of(
            (90 * StepTokens, shorter), (270 * StepTokens, longer), tokens, tokens / unique * Parameters / unique);

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
