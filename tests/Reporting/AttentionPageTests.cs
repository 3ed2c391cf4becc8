using System.Text.RegularExpressions;
using Trainer.Configuration;

namespace Trainer.Reporting.Tests;

public sealed class AttentionPageTests
{
    [Theory]
    [InlineData(0f)]
    [InlineData(0.0005f)]
    [InlineData(1f / 128)]
    [InlineData(0.3f)]
    [InlineData(0.999f)]
    [InlineData(1f)]
    public void A_weight_is_kept_to_within_half_a_step(float weight)
    {
        var root = AttentionContent.Quantised(weight) / 255.0;
        Assert.InRange(Math.Abs(root * root - weight), 0, Math.Sqrt(weight) / 255 + 1.0 / (510 * 510));
    }

    [Fact]
    public void Weights_out_of_range_do_not_wrap_around()
    {
        Assert.Equal(255, AttentionContent.Quantised(1.0001f));
        Assert.Equal(0, AttentionContent.Quantised(-0.1f));
        Assert.Equal(0, AttentionContent.Quantised(float.NaN));
    }

    [Fact]
    public void Twelve_layers_of_twelve_heads_over_128_tokens_fit_into_four_megabytes()
    {
        var html = AttentionPage.Create(new AttentionMap("large", [Maps.Causal("decoder", Maps.Tokens(128), 12, 12)]));
        Assert.InRange(html.Length, 144 * 128 * 128, 4_000_000);
    }

    [Fact]
    public void Hostile_tokens_stay_text()
    {
        var html = AttentionPage.Create(
            new AttentionMap("a</title><script>alert(1)</script>",
            [Maps.Causal("decoder", ["</script>", "<img src=x onerror=alert(2)>"], 1, 1)]));
        Assert.Equal(2, Regex.Count(html, "</script>"));
        Assert.DoesNotContain("<img", html, StringComparison.Ordinal);
        Assert.Single(Regex.Matches(html, "</title>"));
    }

    [Fact]
    public void What_cannot_be_drawn_is_refused()
    {
        var stack = Maps.Even("decoder", ["a"], ["a"], 0, 1);
        Assert.Contains("none of its layers attends",
            Assert.Throws<UserException>(() => AttentionPage.Create(new AttentionMap("m", [stack]))).Message, StringComparison.Ordinal);
        var wrong = stack with { Layers = [new AttentionLayer(3, 2, [1f])] };
        Assert.Contains("layer 3: 1 weights, but 2 heads of 1 queries and 1 keys have 2",
            Assert.Throws<ArgumentException>(() => AttentionPage.Create(new AttentionMap("m", [wrong]))).Message, StringComparison.Ordinal);
        var many = stack with { Queries = Maps.Tokens(1024), Keys = Maps.Tokens(1024),
            Layers = [.. Enumerable.Repeat(new AttentionLayer(0, 1, new float[1024 * 1024]), 10)] };
        Assert.Contains("give a shorter text",
            Assert.Throws<UserException>(() => AttentionPage.Create(new AttentionMap("m", [many]))).Message, StringComparison.Ordinal);
    }
}
