using System.Runtime.InteropServices;
using Trainer.Data.HuggingFace;

namespace Trainer.Data;

/// <summary>Counts the distinct words of a text of any length, on all cores and in bounded memory.</summary>
/// <remarks>Text is taken in rounds. Within a round each core counts parts of it by itself; after it their counts are added
/// up. When more than the limit of distinct words are then held, the rarest are forgotten until at most half of it are
/// left: such words could hardly have earned a token. Rounds end at places in the text, not at times, so that
/// the counts do not depend on the number of cores.</remarks>
internal sealed class WordCounter
{
    /// <summary>The most distinct words held after a round: about 200 MB.</summary>
    public const int DefaultLimit = 1 << 21;

    /// <summary>UTF-16 units in a round: 32 MB.</summary>
    public const int DefaultRound = 1 << 24;

    private readonly Scanner scanner;
    private readonly int limit;
    private readonly int roundLength;
    private readonly ParallelOptions parallel;
    private readonly List<TextBuffer> round = [];
    private readonly Stack<TextBuffer> spare = [];
    private Dictionary<string, long> counts = new(StringComparer.Ordinal);
    private int observed;

    /// <summary>Starts counting.</summary>
    /// <param name="scanner">Cuts text into words.</param>
    /// <param name="limit">The most distinct words held after a round.</param>
    /// <param name="roundLength">UTF-16 units in a round.</param>
    /// <param name="threads">The most threads at work; −1 = as many as there are cores.</param>
    public WordCounter(Scanner scanner, int limit = DefaultLimit, int roundLength = DefaultRound, int threads = -1)
    {
        (this.scanner, this.limit, this.roundLength) = (scanner, limit, roundLength);
        parallel = new ParallelOptions { MaxDegreeOfParallelism = threads };
    }

    /// <summary>Takes in a piece of text; no word crosses its ends.</summary>
    /// <exception cref="EncodingException">It is not valid UTF-16.</exception>
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

    /// <summary>The words and how often each was seen.</summary>
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
            Forget();
    }

    private void Add(Dictionary<string, long> own)
    {
        if (counts.Count == 0)
            counts = own;
        else
            foreach (var (word, count) in own)
                CollectionsMarshal.GetValueRefOrAddDefault(counts, word, out _) += count;
    }

    private void Forget()
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

    /// <summary>Consecutive pieces of text, copied, for one thread to count.</summary>
    private sealed class TextBuffer
    {
        private const int Capacity = 1 << 18;
        private readonly List<int> ends = [];
        private char[] text = new char[Capacity];
        private int filled;

        /// <summary>Adds a piece if there is room.</summary>
        public bool TryAdd(ReadOnlySpan<char> piece)
        {
            if (piece.Length > text.Length - filled)
                return false;
            piece.CopyTo(text.AsSpan(filled));
            filled += piece.Length;
            ends.Add(filled);
            return true;
        }

        /// <summary>Starts anew with a piece of any length.</summary>
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
