using Trainer.Configuration;

namespace Trainer.Inference.Tests;

public sealed class TokenSamplerTests
{
    [Fact]
    public void Greedy_takes_the_most_likely_token_and_the_lowest_id_among_equals()
    {
        var sampler = new TokenSampler(new() { Greedy = true, TopK = 3 });

        Assert.Equal(2, sampler.Sample([0.1f, -4, 7, 6.9f]));
        Assert.Equal(1, sampler.Sample([0, 5, 5, 5]));
    }

    [Theory]
    [InlineData(0.0)]
    [InlineData(1e-6)]
    public void Temperature_towards_zero_is_greedy(double temperature)
    {
        var sampler = new TokenSampler(new() { Temperature = temperature });

        Assert.All(Draw(sampler, Logits(0.3, 0.4, 0.3), 200), id => Assert.Equal(1, id));
    }

    [Fact]
    public void A_high_temperature_approaches_the_uniform_distribution()
    {
        double[] shares = Shares(new() { Temperature = 1e6 }, Logits(0.97, 0.02, 0.01));

        Assert.All(shares, share => Assert.Equal(1 / 3.0, share, 0.02));
    }

    [Fact]
    public void Without_narrowing_tokens_come_with_their_probabilities()
    {
        double[] expected = [0.5, 0.3, 0.15, 0.05];

        double[] shares = Shares(new(), Logits(expected));

        // Pearson's statistic on 3 degrees of freedom stays below 16.3 in 999 of 1000 samples; the seed is fixed.
        double statistic = expected.Zip(shares, (e, s) => (s - e) * (s - e) / e).Sum() * Draws;
        Assert.InRange(statistic, 0, 16.3);
    }

    [Fact]
    public void Temperature_raises_probabilities_to_its_inverse()
    {
        double[] shares = Shares(new() { Temperature = 0.5 }, Logits(0.6, 0.3, 0.1));

        Assert.Equal(0.36 / 0.46, shares[0], 0.015);
        Assert.Equal(0.09 / 0.46, shares[1], 0.015);
        Assert.Equal(0.01 / 0.46, shares[2], 0.015);
    }

    [Fact]
    public void Top_k_keeps_exactly_k_tokens_even_among_ties()
    {
        double[] shares = Shares(new() { TopK = 2 }, [1, 3, 3, 3, 0]);

        Assert.Equal([0, 0.5, 0.5, 0, 0], shares.Select(share => Math.Round(share, 1)));
        Assert.Equal(0, shares[0] + shares[3] + shares[4]);
    }

    [Theory]
    [InlineData(0.1, 1)]
    [InlineData(0.5, 1)]
    [InlineData(0.51, 2)]
    [InlineData(0.8, 2)]
    [InlineData(0.81, 3)]
    [InlineData(1.0, 4)]
    public void Top_p_keeps_the_smallest_set_that_reaches_p(double p, int kept)
    {
        // Shuffled on purpose: ids are not in the order of their probabilities.
        double[] shares = Shares(new() { TopP = p }, Logits(0.05, 0.3, 0.15, 0.5));

        Assert.Equal(kept, shares.Count(share => share > 0));
        Assert.True(shares[3] > 0);
    }

    [Fact]
    public void Top_p_is_taken_of_what_temperature_and_top_k_left()
    {
        // Among the first two, renormalised, the first has 0.625: enough for p = 0.6 though 0.5 alone were not.
        double[] shares = Shares(new() { TopK = 2, TopP = 0.6 }, Logits(0.5, 0.3, 0.2));

        Assert.Equal([1, 0, 0], shares);
    }

    [Fact]
    public void Tokens_ruled_out_are_never_drawn()
    {
        double[] shares = Shares(new() { TopP = 0.999999 }, [float.NegativeInfinity, 1, 1, float.NegativeInfinity]);

        Assert.Equal(0, shares[0] + shares[3]);
    }

    [Fact]
    public void The_same_seed_gives_the_same_tokens_and_another_seed_others()
    {
        float[] logits = Logits(0.25, 0.25, 0.25, 0.25);
        int[] Run(long seed) => Draw(new TokenSampler(new() { Seed = seed }), logits, 64);

        Assert.Equal(Run(7), Run(7));
        Assert.NotEqual(Run(7), Run(8));
        // From an independent implementation of SplitMix64.
        Assert.Equal([1, 0, 3, 2, 1, 0, 1, 1, 0, 1, 0, 3], Run(7).Take(12));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void Logits_that_are_not_finite_are_an_error_that_says_what_to_do(float bad)
    {
        var sampler = new TokenSampler(new() { Greedy = true });

        var error = Assert.Throws<UserException>(() => sampler.Sample([0, bad, 1]));

        Assert.Contains("the logit of token 1 is", error.Message);
        Assert.EndsWith("use an earlier checkpoint", error.Message);
    }

    [Fact]
    public void Options_out_of_range_are_reported_together()
    {
        var error = Assert.Throws<ConfigurationException>(
            () => new TokenSampler(new() { Temperature = -1, TopK = 0, TopP = 1.5 }));

        Assert.Equal(
            [
                new("temperature", "temperature (-1) must be 0 or more; 1 leaves the model's distribution as it is"),
                new("topK", "topK (0) must be 1 or more; leave it out to allow every token"),
                new("topP", "topP (1.5) must be above 0 and at most 1; leave it out to allow every token"),
            ],
            error.Problems);
    }

    private const int Draws = 20_000;

    private static float[] Logits(params double[] probabilities) => [.. probabilities.Select(p => (float)Math.Log(p))];

    private static int[] Draw(TokenSampler sampler, float[] logits, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => sampler.Sample(logits))];

    private static double[] Shares(SamplingOptions options, float[] logits)
    {
        int[] drawn = Draw(new TokenSampler(options), logits, Draws);
        return [.. Enumerable.Range(0, logits.Length).Select(id => drawn.Count(d => d == id) / (double)Draws)];
    }
}
