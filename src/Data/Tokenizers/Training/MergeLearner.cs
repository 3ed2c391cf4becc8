using System.Runtime.InteropServices;

namespace Trainer.Data;

/// <summary>Learns byte-pair merges: again and again the most frequent pair of neighbouring tokens becomes a token
/// (Sennrich 2016, arXiv 1508.07909), over bytes as in GPT-2.</summary>
/// <remarks>The choice, its ties included, is that of Hugging Face's trainer, so that both learn the same merges in the same order:
/// the higher count first, then the pair with the smaller ids; ids are given in the order special tokens, bytes in the order of
/// their symbols, merges. Counts are kept up to date: a merge touches only the words that hold its pair, and the
/// queue corrects an entry when it comes up with an old count.</remarks>
internal sealed class MergeLearner
{
    /// <summary>Longer words are not learned from: texts without cuts, such as base64, teach nothing and take the time of thousands of words.</summary>
    public const int LongestWord = 1024;

    private readonly List<string> tokens = [];
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly List<(int Left, int Right)> merges = [];
    private readonly Dictionary<ulong, long> pairCounts = [];
    private readonly PriorityQueue<(ulong Pair, List<int> Words), (long Count, ulong Pair)> queue = new(Comparer<(long Count, ulong Pair)>.Create(
        static (one, other) => one.Count != other.Count ? other.Count.CompareTo(one.Count) : one.Pair.CompareTo(other.Pair)));
    private Dictionary<ulong, List<int>> created = [];
    private readonly TokenizedWords words;

    private MergeLearner(IReadOnlyDictionary<string, long> counts, IReadOnlyList<string> specialTokens)
    {
        foreach (var token in specialTokens)
            Add(token);
        var idOfByte = new int[256];
        foreach (var value in Enumerable.Range(0, 256).OrderBy(value => ByteLevelAlphabet.Symbol((byte)value)))
            idOfByte[value] = Add(ByteLevelAlphabet.Symbol((byte)value).ToString());
        words = TokenizedWords.Of(counts, idOfByte, LongestWord);
    }

    /// <summary>Learns a vocabulary.</summary>
    /// <param name="counts">The words, in which merges happen, and how often each occurs.</param>
    /// <param name="specialTokens">Tokens that take the first ids.</param>
    /// <param name="vocabularySize">The most tokens, special ones and the 256 bytes included.</param>
    /// <param name="minimumFrequency">Pairs seen less often are not merged.</param>
    /// <returns>The vocabulary; smaller than asked for when the text has no more pairs.</returns>
    public static BpeVocabulary Learn(IReadOnlyDictionary<string, long> counts, IReadOnlyList<string> specialTokens, int vocabularySize, long minimumFrequency)
    {
        var learner = new MergeLearner(counts, specialTokens);
        learner.CountPairs();
        learner.Merge(vocabularySize, Math.Max(1, minimumFrequency));
        var tokens = learner.tokens;
        return new BpeVocabulary(specialTokens, tokens, [.. learner.merges.Select(pair => (tokens[pair.Left], tokens[pair.Right]))]);
    }

    private int Add(string token)
    {
        if (ids.TryGetValue(token, out var id))
            return id;
        ids.Add(token, tokens.Count);
        tokens.Add(token);
        return tokens.Count - 1;
    }

    private void CountPairs()
    {
        for (var word = 0; word < words.Count; word++)
        {
            var symbols = words[word];
            for (var i = 0; i + 1 < symbols.Length; i++)
                Change(symbols[i], symbols[i + 1], word, +1);
        }
        Enqueue();
    }

    private void Merge(int vocabularySize, long minimumFrequency)
    {
        while (tokens.Count < vocabularySize && queue.TryDequeue(out var next, out var known))
        {
            var count = pairCounts[next.Pair];
            if (count != known.Count)
            {
                queue.Enqueue(next, (count, next.Pair));
                continue;
            }
            if (count < minimumFrequency)
                return;
            var (left, right) = ((int)(next.Pair >> 32), (int)(uint)next.Pair);
            var merged = Add(tokens[left] + tokens[right]);
            merges.Add((left, right));
            foreach (var word in next.Words)
                Merge(word, left, right, merged);
            Enqueue();
        }
    }

    /// <summary>Merges a pair throughout one word, from its beginning.</summary>
    private void Merge(int word, int left, int right, int merged)
    {
        var symbols = words[word];
        var kept = 0;
        for (var i = 0; i < symbols.Length; i++)
        {
            if (symbols[i] != left || i + 1 == symbols.Length || symbols[i + 1] != right)
            {
                symbols[kept++] = symbols[i];
                continue;
            }
            if (kept > 0)
            {
                Change(symbols[kept - 1], left, word, -1);
                Change(symbols[kept - 1], merged, word, +1);
            }
            symbols[kept++] = merged;
            i++;
            if (i + 1 < symbols.Length)
            {
                Change(right, symbols[i + 1], word, -1);
                Change(merged, symbols[i + 1], word, +1);
            }
        }
        words.Shorten(word, kept);
    }

    private void Change(int left, int right, int word, int sign)
    {
        var pair = (ulong)(uint)left << 32 | (uint)right;
        CollectionsMarshal.GetValueRefOrAddDefault(pairCounts, pair, out _) += sign * words.Frequency(word);
        if (sign < 0)
            return;
        ref var places = ref CollectionsMarshal.GetValueRefOrAddDefault(created, pair, out _);
        places ??= [];
        if (places.Count == 0 || places[^1] != word)
            places.Add(word);
    }

    /// <summary>Puts the pairs that came about into the queue.</summary>
    private void Enqueue()
    {
        foreach (var (pair, places) in created)
            if (pairCounts[pair] is > 0 and var count)
                queue.Enqueue((pair, places), (count, pair));
        if (created.Count > 1 << 16)
            created = [];
        else
            created.Clear();
    }
}
