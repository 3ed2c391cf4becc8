namespace Trainer.Data;

/// <summary>Learns the most frequent words of a text.</summary>
internal sealed class WordTrainer(WordTokenizerOptions options, int threads = -1) : TokenizerTrainer
{
    private readonly WordCounter words = new(new WordRunScanner(), threads: threads);

    /// <inheritdoc/>
    public override void Observe(ReadOnlySpan<char> text) => words.Observe(text);

    /// <inheritdoc/>
    public override Tokenizer Build() => new WordTokenizer(
        [
            options.UnknownToken,
            .. words.Finish()
                .Where(entry => !WordRunScanner.IsSpace(entry.Key))
                .GroupBy(entry => options.Lowercase ? WordTokenizer.Lower(entry.Key) : entry.Key, entry => entry.Value)
                .Select(group => (Word: group.Key, Count: group.Sum()))
                .Where(word => word.Word != options.UnknownToken)
                .OrderByDescending(word => word.Count).ThenBy(word => word.Word, CodePointOrder.Instance)
                .Take(options.VocabularySize - 1)
                .Select(word => word.Word),
        ],
        options.Lowercase);

    /// <summary>The order of Unicode code points, which UTF-16 does not have above U+D7FF.</summary>
    private sealed class CodePointOrder : IComparer<string>
    {
        public static readonly CodePointOrder Instance = new();

        public int Compare(string? one, string? other)
        {
            var same = one.AsSpan().CommonPrefixLength(other);
            return same == one!.Length || same == other!.Length
                ? one.Length.CompareTo(other!.Length)
                : Rank(one[same]).CompareTo(Rank(other[same]));
        }

        private static int Rank(char unit) => char.IsSurrogate(unit) ? unit + 0x10000 : unit;
    }
}
