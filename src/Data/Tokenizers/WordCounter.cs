using System.Runtime.InteropServices;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers;

/// <summary>Counts the distinct words of a text of any length, in rounds on all cores, in bounded memory: if more are held than the limit,
/// the rarest are dropped until half of it is left. Rounds end at fixed places, so counts do not depend on the number of cores.</summary>
internal sealed class WordCounter
{
    /// <summary>Distinct words held after a round: about 200 MB.</summary>
    public const int DefaultLimit = 1 << 21;

    /// <summary>UTF-16 units per round: 32 MB.</summary>
    public const int DefaultRound = 1 << 24;

    private readonly Scanner scanner;
    private readonly int limit;
    private readonly int roundLength;
    private readonly ParallelOptions parallel;
    private readonly List<TextBuffer> round = [];
    private readonly Stack<TextBuffer> spare = [];
    private Dictionary<string, long> counts = new(StringComparer.Ordinal);
    private int observed;

    public WordCounter(Scanner scanner, int limit = DefaultLimit, int roundLength = DefaultRound, int threads = -1)
    {
        (this.scanner, this.limit, this.roundLength) = (scanner, limit, roundLength);
        parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
    }

    public void Observe(ReadOnlySpan<char> text)
    {
        Utf16.Check(text);
        if (round.Count == 0 || !round[^1].TryAdd(text))
        {
            if (!spare.TryPop(out var buffer))
                buffer = new TextBuffer();
            buffer.Reset(text);
            round.Add(buffer);
        }
        observed += text.Length;
        if (observed >= roundLength)
            CountRound();
    }

    public Dictionary<string, long> Finish()
    {
        CountRound();
        return counts;
    }

    private void CountRound()
    {
        var gate = new Lock();
        Parallel.ForEach(
            round, parallel, () => new Dictionary<string, long>(StringComparer.Ordinal),
            (buffer, _, own) =>
            {
                buffer.Count(scanner, own);
                return own;
            },
            own =>
            {
                lock (gate)
                    Add(own);
            });
        round.ForEach(spare.Push);
        round.Clear();
        observed = 0;
        if (counts.Count > limit)
            Prune();
    }

    private void Add(Dictionary<string, long> own)
    {
        if (counts.Count == 0)
            counts = own;
        else
            foreach (var (word, count) in own)
                CollectionsMarshal.GetValueRefOrAddDefault(counts, word, out _) += count;
    }

    private void Prune()
    {
        var keep = limit / 2;
        var byCount = new SortedDictionary<long, int>();
        foreach (var count in counts.Values)
            byCount[count] = byCount.GetValueOrDefault(count) + 1;
        var left = counts.Count;
        var threshold = byCount.First(entry => (left -= entry.Value) <= keep).Key;
        foreach (var (word, count) in counts)
            if (count <= threshold)
                counts.Remove(word);
        counts.TrimExcess();
    }

    private sealed class TextBuffer
    {
        private const int Capacity = 1 << 18;
        private readonly List<int> ends = [];
        private char[] text = new char[Capacity];
        private int filled;

        public bool TryAdd(ReadOnlySpan<char> piece)
        {
            if (piece.Length > text.Length - filled)
                return false;
            piece.CopyTo(text.AsSpan(filled));
            filled += piece.Length;
            ends.Add(filled);
            return true;
        }

        public void Reset(ReadOnlySpan<char> piece)
        {
            ends.Clear();
            filled = 0;
            if (piece.Length > text.Length)
                text = new char[piece.Length];
            TryAdd(piece);
        }

        public void Count(Scanner scanner, Dictionary<string, long> counts)
        {
            var words = counts.GetAlternateLookup<ReadOnlySpan<char>>();
            var start = 0;
            foreach (var end in ends)
            {
                var piece = text.AsSpan(0, end);
                while (start < end)
                {
                    var next = scanner.End(piece, start);
                    CollectionsMarshal.GetValueRefOrAddDefault(words, piece[start..next], out _)++;
                    start = next;
                }
            }
        }
    }
}
