using System.Text;

namespace Trainer.Data;

/// <summary>Distinct words as tokens, one after the other in one array, each with its frequency.</summary>
internal sealed class TokenizedWords
{
    private readonly int[] symbols;
    private readonly int[] starts;
    private readonly int[] lengths;
    private readonly long[] frequencies;

    private TokenizedWords(int words, int symbols) =>
        (this.symbols, starts, lengths, frequencies) = (new int[symbols], new int[words], new int[words], new long[words]);

    /// <summary>The number of words.</summary>
    public int Count => starts.Length;

    /// <summary>The tokens of a word; they can be changed in place.</summary>
    public Span<int> this[int word] => symbols.AsSpan(starts[word], lengths[word]);

    /// <summary>How often a word occurs.</summary>
    public long Frequency(int word) => frequencies[word];

    /// <summary>Cuts a word's tokens off at the end.</summary>
    public void Shorten(int word, int length) => lengths[word] = length;

    /// <summary>Starts with a token for each byte of UTF-8.</summary>
    /// <param name="counts">The words and their frequencies.</param>
    /// <param name="idOfByte">The token of each byte.</param>
    /// <param name="longest">Words of more bytes are left out.</param>
    public static TokenizedWords Of(IReadOnlyDictionary<string, long> counts, int[] idOfByte, int longest)
    {
        (string Text, int Bytes, long Count)[] kept =
            [.. counts.Select(entry => (entry.Key, Encoding.UTF8.GetByteCount(entry.Key), entry.Value)).Where(word => word.Item2 is > 1 && word.Item2 <= longest)];
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
