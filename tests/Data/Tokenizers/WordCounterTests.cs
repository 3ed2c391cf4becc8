using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class WordCounterTests
{
    private static readonly string Text = string.Concat(Enumerable.Range(0, 30_000).Select(i => $"word{i * 7919 % 500} "));

    [Theory]
    [InlineData(1, 1 << 24)]
    [InlineData(4, 1 << 24)]
    [InlineData(3, 5_000)]
    public void Counts_do_not_depend_on_threads_or_rounds(int threads, int round)
    {
        var counter = new WordCounter(SplitPattern.Gpt2.Scanner(), roundLength: round, threads: threads);
        foreach (var piece in Text.Chunk(1001))
            counter.Observe(piece);
        var expected = new Dictionary<string, long>();
        foreach (var piece in Text.Chunk(1001))
            foreach (var (word, count) in MergeLearnerTests.Words(new string(piece)))
                expected[word] = expected.GetValueOrDefault(word) + count;
        Assert.Equal(expected.OrderBy(entry => entry.Key), counter.Finish().OrderBy(entry => entry.Key));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Beyond_the_limit_the_rarest_words_are_forgotten(int threads)
    {
        var counter = new WordCounter(SplitPattern.Gpt2.Scanner(), limit: 4, roundLength: 10, threads: threads);
        foreach (var word in new[] { "a", "a", "a", "b", "b", "c", "d", "e", "a" })
            counter.Observe($"{word}........."[..^9] + new string('.', 9));
        var counts = counter.Finish();
        Assert.Equal((4, 9), (counts["a"], counts["........."]));
        Assert.DoesNotContain("d", counts.Keys);
    }

    [Fact]
    public void A_lone_surrogate_is_an_error_with_its_place() =>
        Assert.Equal(3, Assert.Throws<EncodingException>(() => new WordCounter(SplitPattern.Gpt2.Scanner()).Observe("😀a\ud800b")).Position);
}
