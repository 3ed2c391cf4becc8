using System.Runtime.InteropServices;
using System.Text;

namespace Trainer.Data.Tokenizers;

/// <summary>Learns byte-pair merges over bytes (Sennrich 2016, arXiv 1508.07909), exactly as Hugging Face's trainer does: highest count
/// first, then the pair with smaller ids; ids go to special tokens, then bytes in symbol order, then merges. A merge updates only words
/// with its pair; the queue re-sorts stale counts.</summary>
internal sealed class MergeLearner
{
    /// <summary>Longer words are skipped: unsplit text such as base64 teaches nothing and costs as much as thousands of words.</summary>
    public const int LongestWord = 1024;

    private readonly List<string> tokens = [];
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly List<(int Left, int Right)> merges = [];
    private readonly Dictionary<ulong, long> pairCounts = [];
    private readonly PriorityQueue<(ulong Pair, List<int> Words), (long Count, ulong Pair)> queue = new(
        Comparer<(long Count, ulong Pair)>.Create(
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

    /// <summary>The vocabulary is smaller than requested when the text has no more pairs of <paramref name="minimumFrequency"/>.</summary>
    public static BpeVocabulary Learn(IReadOnlyDictionary<string, long> counts, IReadOnlyList<string> specialTokens, int vocabularySize,
        long minimumFrequency)
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

internal sealed class TokenizedWords
{
    private readonly int[] symbols;
    private readonly int[] starts;
    private readonly int[] lengths;
    private readonly long[] frequencies;

    private TokenizedWords(int words, int symbols) =>
        (this.symbols, starts, lengths, frequencies) = (new int[symbols], new int[words], new int[words], new long[words]);

    public int Count => starts.Length;

    public Span<int> this[int word] => symbols.AsSpan(starts[word], lengths[word]);

    public long Frequency(int word) => frequencies[word];

    public void Shorten(int word, int length) => lengths[word] = length;

    /// <summary>Starts with one token per UTF-8 byte, skipping words of more than <paramref name="longest"/> bytes.</summary>
    public static TokenizedWords Of(IReadOnlyDictionary<string, long> counts, int[] idOfByte, int longest)
    {
        (string Text, int Bytes, long Count)[] kept =
            [.. counts.Select(entry => (entry.Key, Encoding.UTF8.GetByteCount(entry.Key), entry.Value))
                .Where(word => word.Item2 is > 1 && word.Item2 <= longest)];
        var words = new TokenizedWords(kept.Length, checked((int)kept.Sum(word => (long)word.Bytes)));
        Span<byte> bytes = stackalloc byte[longest];
        var filled = 0;
        for (var word = 0; word < kept.Length; word++)
        {
            var length = Encoding.UTF8.GetBytes(kept[word].Text, bytes);
            (words.starts[word], words.lengths[word], words.frequencies[word]) = (filled, length, kept[word].Count);
            foreach (var value in bytes[..length])
                words.symbols[filled++] = idOfByte[value];
        }
        return words;
    }
}
