using System.Security.Cryptography;
using System.Text;
using FsCheck.Fluent;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class MergeLearnerTests
{
    [Fact]
    public void Merges_are_those_of_the_definition() =>
        Prop.ForAll(Gen.Elements('a', 'b', 'c', 'é').NonEmptyListOf().Select(string.Concat).Zip(Gen.Choose(1, 5)).NonEmptyListOf()
            .ToArbitrary(), Gen.Choose(1, 3).ToArbitrary(), (words, minimum) =>
        {
            var counts = words.GroupBy(word => word.Item1).ToDictionary(group => group.Key, group => (long)group.Sum(word => word.Item2));
            Assert.Equal(SlowReferenceTrainer.Merges(counts, most: 12, minimum), MergeLearner.Learn(counts, [], 256 + 12, minimum).Merges);
        }).Holds(cases: 300);

    [Fact]
    public void Words_of_prose_merge_as_in_the_definition()
    {
        var counts = Words("It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of "
            + "a wife. "
            + "However little known the feelings or views of such a man may be on his first entering a neighbourhood, this truth is so "
            + "well fixed "
            + "in the minds of the surrounding families, that he is considered as the rightful property of some one or other of their "
            + "daughters.");
        var expected = SlowReferenceTrainer.Merges(counts, most: 80, 1);
        Assert.Equal(80, expected.Count);
        Assert.Equal(expected, MergeLearner.Learn(counts, [], 256 + 80, 1).Merges);
    }

    /// <summary>The hash is that of the file which Hugging Face's tokenizers 0.22.2 (<c>Tokenizer.train</c>) write for this text, full of
    /// ties.</summary>
    [Fact]
    public void Merges_are_those_of_Hugging_Face()
    {
        var merges = MergeLearner.Learn(Words(TwoLetters()), [], 256 + 2000, 1).Merges;
        Assert.Equal("f03c200606996bb42ea41875d82d85ab5587c21432be5843bb2530271193c77f",
            Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n',
            merges.Select(merge => $"{merge.Left} {merge.Right}"))))));
    }

    [Fact]
    public void Ids_are_special_tokens_then_bytes_by_symbol_then_merges()
    {
        var vocabulary = MergeLearner.Learn(Words("aaab aaab"), ["<|end|>", "<|pad|>"], 400, 2);
        Assert.Equal(["<|end|>", "<|pad|>", "!", "\""], vocabulary.Tokens.Take(4));
        Assert.Equal("\u0143", vocabulary.Tokens[257]);
        Assert.Equal([("a", "a")], vocabulary.Merges.Take(1));
        Assert.Equal(258 + vocabulary.Merges.Count, vocabulary.Tokens.Count);   // the text has no more pairs
    }

    [Fact]
    public void A_word_too_long_to_learn_from_is_left_out()
    {
        var counts = new Dictionary<string, long> { [new string('x', MergeLearner.LongestWord + 1)] = 9, ["ab"] = 2 };
        Assert.Equal([("a", "b")], MergeLearner.Learn(counts, [], 1000, 1).Merges);
    }

    internal static Dictionary<string, long> Words(string text)
    {
        var counter = new WordCounter(SplitPattern.Gpt2.Scanner());
        counter.Observe(text);
        return counter.Finish();
    }

    /// <summary>4,000 words of the letters a and b, from a portable generator: x ← 1103515245 x + 12345 mod 2³¹.</summary>
    private static string TwoLetters()
    {
        var text = new StringBuilder();
        var state = 1L;
        long Next() => (state = (1103515245 * state + 12345) % (1L << 31)) >> 16;
        for (var word = 0; word < 4000; word++)
        {
            for (var letters = 2 + Next() % 12; letters > 0; letters--)
                text.Append(Next() % 3 == 0 ? 'a' : 'b');
            text.Append(' ');
        }
        return text.ToString();
    }
}

/// <summary>Byte-pair training by definition: recounts all pairs for every merge.</summary>
internal static class SlowReferenceTrainer
{
    public static List<(string Left, string Right)> Merges(IReadOnlyDictionary<string, long> counts, int most, long minimumFrequency)
    {
        var words = counts.Select(entry => (Tokens: Encoding.UTF8.GetBytes(entry.Key)
            .Select(value => ByteLevelAlphabet.Symbol(value).ToString()).ToList(), entry.Value)).ToList();
        var ids = Enumerable.Range(0, 256).Select(value => ByteLevelAlphabet.Symbol((byte)value).ToString()).Order(StringComparer.Ordinal)
            .ToList();
        var merges = new List<(string Left, string Right)>();
        while (merges.Count < most)
        {
            var pairs = words.SelectMany(word => word.Tokens.Zip(word.Tokens.Skip(1)).Select(pair => (Pair: pair, Count: word.Value)))
                .GroupBy(pair => pair.Pair).Select(group => (Pair: group.Key, Count: group.Sum(pair => pair.Count))).ToList();
            if (pairs.Count == 0 || pairs.Max(pair => pair.Count) < minimumFrequency)
                break;
            var (left, right) = pairs.OrderByDescending(pair => pair.Count).ThenBy(pair => ids.IndexOf(pair.Pair.First))
                .ThenBy(pair => ids.IndexOf(pair.Pair.Second)).First().Pair;
            Assert.DoesNotContain(left + right, ids);
            ids.Add(left + right);
            merges.Add((left, right));
            foreach (var (tokens, _) in words)
                for (var i = 0; i + 1 < tokens.Count; i++)
                    if (tokens[i] == left && tokens[i + 1] == right)
                    {
                        tokens[i] = left + right;
                        tokens.RemoveAt(i + 1);
                    }
        }
        return merges;
    }
}
