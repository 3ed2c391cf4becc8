using System.Text;

namespace Trainer.Data.Tests;

/// <summary>Byte-pair training as it is defined: count every pair anew for every merge.</summary>
internal static class SlowReferenceTrainer
{
    public static List<(string Left, string Right)> Merges(IReadOnlyDictionary<string, long> counts, int most, long minimumFrequency)
    {
        var words = counts.Select(entry => (Tokens: Encoding.UTF8.GetBytes(entry.Key).Select(value => ByteLevelAlphabet.Symbol(value).ToString()).ToList(), entry.Value)).ToList();
        var ids = Enumerable.Range(0, 256).Select(value => ByteLevelAlphabet.Symbol((byte)value).ToString()).Order(StringComparer.Ordinal).ToList();
        var merges = new List<(string Left, string Right)>();
        while (merges.Count < most)
        {
            var pairs = words.SelectMany(word => word.Tokens.Zip(word.Tokens.Skip(1)).Select(pair => (Pair: pair, Count: word.Value)))
                .GroupBy(pair => pair.Pair).Select(group => (Pair: group.Key, Count: group.Sum(pair => pair.Count))).ToList();
            if (pairs.Count == 0 || pairs.Max(pair => pair.Count) < minimumFrequency)
                break;
            var (left, right) = pairs.OrderByDescending(pair => pair.Count).ThenBy(pair => ids.IndexOf(pair.Pair.First)).ThenBy(pair => ids.IndexOf(pair.Pair.Second)).First().Pair;
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
