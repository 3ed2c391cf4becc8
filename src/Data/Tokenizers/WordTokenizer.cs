using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;

namespace Trainer.Data;

/// <summary>The tokenizer whose tokens are words and runs of signs (<c>\w+|[^\w\s]+</c>); what it does not know is the token 0.</summary>
/// <remarks>Decoding puts one space between tokens: text does not come back as it was.</remarks>
public sealed class WordTokenizer : Tokenizer
{
    private readonly string[] words;
    private readonly byte[][] bytes;
    private readonly Dictionary<string, int> ids = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private readonly WordRunScanner scanner = new();

    /// <summary>Makes the tokenizer of a list of words.</summary>
    /// <param name="words">The words by token id; the first is the unknown token.</param>
    /// <param name="lowercase">Whether text is made lower case first.</param>
    /// <exception cref="ArgumentException">There is no word, or one is listed twice.</exception>
    public WordTokenizer(IEnumerable<string> words, bool lowercase)
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

    /// <summary>The words by token id; the first is the unknown token.</summary>
    public IReadOnlyList<string> Words => words;

    /// <summary>Whether text is made lower case first.</summary>
    public bool Lowercase { get; }

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

    /// <summary>Hugging Face's word-level model, which gives the same tokens there.</summary>
    /// <returns>The content of <c>tokenizer.json</c>.</returns>
    public override JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < words.Length; id++)
            vocabulary[words[id]] = id;
        var document = HuggingFaceTokenizer.Document(
            preTokenizer: new JsonObject { ["type"] = "Whitespace" },
            decoder: null,
            model: HuggingFaceTokenizer.WordLevel(vocabulary, words[0]));
        if (Lowercase)
            document["normalizer"] = new JsonObject { ["type"] = "Lowercase" };
        return document;
    }

    /// <summary>Lower case, character by character. Only U+0130 becomes two characters in Unicode's full mapping.</summary>
    internal static string Lower(string text) => text.ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);

    private sealed class Decoder(WordTokenizer tokenizer) : StreamingDecoder
    {
        private bool begun;

        public override string Push(int id)
        {
            tokenizer.TokenBytes(id);   // refuses ids that are not in the vocabulary
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
