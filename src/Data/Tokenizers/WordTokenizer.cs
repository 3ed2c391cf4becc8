using System.Buffers;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers;

/// <summary>The most frequent words of the training text are tokens, all others one unknown token: lossy, unlike
/// <see cref="BpeTokenizerOptions"/>.</summary>
[Description("The most frequent words of the training text are tokens, all others the unknown token. White space is lost: text does not "
    + "come back as it was.")]
public sealed record WordTokenizerOptions : TokenizerOptions, IValidated
{
    /// <summary>The most tokens, including the unknown token.</summary>
    [Description("The most tokens, the unknown token included. A short text may have fewer.")]
    [Range(2, 10_000_000)]
    public int VocabularySize { get; init; } = 16384;

    /// <summary>The text of the unknown token, which has id 0.</summary>
    [Description("How the unknown token is written; its id is 0.")]
    public string UnknownToken { get; init; } = "<unk>";

    /// <summary>Whether to ignore case.</summary>
    [Description("Whether all text is made lower case first.")]
    public bool Lowercase { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (string.IsNullOrEmpty(UnknownToken))
            yield return new Problem("unknownToken", "is empty; name it, for example, <unk>");
    }

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new WordTrainer(this);
}

/// <summary>Tokens are words and runs of punctuation (<c>\w+|[^\w\s]+</c>); unknown ones are token 0. Decoding joins with spaces.</summary>
public sealed class WordTokenizer : Tokenizer
{
    private readonly string[] words;
    private readonly byte[][] bytes;
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private readonly WordRunScanner scanner = new();

    internal WordTokenizer(IEnumerable<string> words, bool lowercase)
    {
        this.words = [.. words];
        if (this.words.Length == 0)
            throw new ArgumentException("a word vocabulary needs at least its unknown token", nameof(words));
        for (var id = 0; id < this.words.Length; id++)
            ids.Add(this.words[id], id);
        lookup = ids.GetAlternateLookup<ReadOnlySpan<char>>();
        bytes = [.. this.words.Select(Encoding.UTF8.GetBytes)];
        Lowercase = lowercase;
    }

    /// <inheritdoc/>
    public override string Type => "word";

    /// <inheritdoc/>
    public override int VocabularySize => words.Length;

    internal IReadOnlyList<string> Words => words;

    internal bool Lowercase { get; }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, IBufferWriter<int> ids)
    {
        Utf16.Check(text);
        if (Lowercase)
            text = Lower(text.ToString());
        Span<int> one = stackalloc int[1];
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = scanner.End(text, start);
            var word = text[start..end];
            if (WordRunScanner.IsSpace(word))
                continue;
            one[0] = lookup.TryGetValue(word, out var id) ? id : 0;
            ids.Write(one);
        }
    }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids) => Encode(Utf16.Decode(utf8), ids);

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> TokenBytes(int id) => Entry(bytes, id);

    /// <inheritdoc/>
    public override byte[] DecodeBytes(ReadOnlySpan<int> ids)
    {
        var text = new ArrayBufferWriter<byte>(Math.Max(1, 8 * ids.Length));
        for (var i = 0; i < ids.Length; i++)
        {
            if (i > 0)
                text.Write(" "u8);
            text.Write(TokenBytes(ids[i]));
        }
        return text.WrittenSpan.ToArray();
    }

    /// <inheritdoc/>
    public override StreamingDecoder CreateDecoder() => new Decoder(this);

    /// <summary>A word-level model, which gives the same tokens in Hugging Face's library.</summary>
    public override JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < words.Length; id++)
            vocabulary[words[id]] = id;
        var document = TokenizerJson.Document(
            preTokenizer: new JsonObject { ["type"] = "Whitespace" },
            decoder: null,
            model: TokenizerJson.WordLevel(vocabulary, words[0]));
        if (Lowercase)
            document["normalizer"] = new JsonObject { ["type"] = "Lowercase" };
        return document;
    }

    /// <summary>Simple lower case, but for U+0130, the only character whose full mapping has two.</summary>
    internal static string Lower(string text) => text.ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);

    private sealed class Decoder(WordTokenizer tokenizer) : StreamingDecoder
    {
        private bool begun;

        public override string Push(int id)
        {
            tokenizer.TokenBytes(id);   // rejects unknown ids
            var word = begun ? " " + tokenizer.words[id] : tokenizer.words[id];
            begun = true;
            return word;
        }

        public override string Flush()
        {
            begun = false;
            return "";
        }
    }
}

internal sealed class WordTrainer(WordTokenizerOptions options, int threads = -1) : TokenizerTrainer
{
    private readonly WordCounter words = new(new WordRunScanner(), threads: threads);

    public override void Observe(ReadOnlySpan<char> text) => words.Observe(text);

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

    /// <summary>Code-point order, from which UTF-16 order differs above U+D7FF.</summary>
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

/// <summary>Splits like Hugging Face's <c>Whitespace</c> pre-tokenizer, <c>\w+|[^\w\s]+</c>, but white space is words, too.</summary>
internal sealed class WordRunScanner : Scanner
{
    private enum Run : byte
    {
        Sign,
        Word,
        Space,
    }

    private static readonly Run[] Basic = [.. Enumerable.Range(0, 0x10000)
        .Select(value => Rune.IsValid(value) ? Classify(new Rune(value)) : Run.Sign)];

    public override int End(ReadOnlySpan<char> text, int start)
    {
        var run = At(text, start, out var length);
        var end = start + length;
        while (end < text.Length && At(text, end, out length) == run)
            end += length;
        return end;
    }

    public static bool IsSpace(ReadOnlySpan<char> word) => Basic[word[0]] == Run.Space;

    private static Run At(ReadOnlySpan<char> text, int position, out int length)
    {
        length = char.IsHighSurrogate(text[position]) && position + 1 < text.Length ? 2 : 1;
        return length == 1 ? Basic[text[position]] : Classify(new Rune(text[position], text[position + 1]));
    }

    private static Run Classify(Rune character) => Rune.IsWhiteSpace(character) ? Run.Space : IsWord(character) ? Run.Word : Run.Sign;

    /// <summary>Unicode's <c>\w</c> (UTS 18): Alphabetic, M, Nd, Pc and Join_Control.</summary>
    private static bool IsWord(Rune character) => Rune.GetUnicodeCategory(character) switch
    {
        <= UnicodeCategory.LetterNumber => true,   // L, M, Nd, Nl
        UnicodeCategory.ConnectorPunctuation => true,
        UnicodeCategory.OtherSymbol =>
            character.Value is (>= 0x24B6 and <= 0x24E9) or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169)
            or (>= 0x1F170 and <= 0x1F189),
        _ => character.Value is 0x200C or 0x200D,
    };
}
