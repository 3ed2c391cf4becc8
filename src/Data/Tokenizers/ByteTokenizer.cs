using System.Buffers;
using System.ComponentModel;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Trainer.Data.Tokenizers.HuggingFace;

namespace Trainer.Data.Tokenizers;

/// <summary>Every byte is a token: 256 tokens, any text.</summary>
[Description("Every byte of UTF-8 is a token: 256 tokens, any text.")]
public sealed record ByteTokenizerOptions : TokenizerOptions
{
    /// <summary>Tokens of the chat template, numbered from 256; the recipe does not set them.</summary>
    [JsonIgnore]
    internal IReadOnlyList<string> SpecialTokens { get; init; } = [];

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new PretrainedTrainer(
        SpecialTokens.Count == 0 ? ByteTokenizer.Instance : ByteTokenizer.With(SpecialTokens));

    internal override TokenizerOptions WithSpecialTokens(IReadOnlyList<string> tokens) => this with { SpecialTokens = tokens };
}

/// <summary>Token ids are UTF-8 bytes; any bytes round-trip.</summary>
public sealed class ByteTokenizer : Tokenizer
{
    private static readonly byte[][] Bytes = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })];

    private ByteTokenizer() { }

    /// <summary>The only instance.</summary>
    public static ByteTokenizer Instance { get; } = new();

    /// <summary>Bytes, and behind them special tokens: a tokenizer of Hugging Face's kind, which learned no merges.</summary>
    internal static Tokenizer With(IReadOnlyList<string> specialTokens)
    {
        var document = Instance.ToJson();
        document["added_tokens"] = TokenizerJson.AddedTokens(specialTokens.Select((token, index) => (token, 256 + index)));
        return HuggingFaceTokenizer.Parse(document, "the byte tokenizer");
    }

    /// <inheritdoc/>
    public override string Type => "byte";

    /// <inheritdoc/>
    public override int VocabularySize => 256;

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, IBufferWriter<int> ids)
    {
        Span<byte> bytes = stackalloc byte[1024];
        for (var position = 0; position < text.Length;)
        {
            var status = System.Text.Unicode.Utf8.FromUtf16(text[position..], bytes, out var read, out var written,
                replaceInvalidSequences: false);
            Encode(bytes[..written], ids);
            position += read;
            if (status == OperationStatus.InvalidData)
                throw EncodingException.LoneSurrogate(text[position], position);
        }
    }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids)
    {
        if (utf8.IsEmpty)
            return;
        var output = ids.GetSpan(utf8.Length);
        for (var i = 0; i < utf8.Length; i++)
            output[i] = utf8[i];
        ids.Advance(utf8.Length);
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> TokenBytes(int id) => Entry(Bytes, id);

    /// <summary>Byte-level BPE without merges, which gives the same tokens in Hugging Face's library.</summary>
    public override JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var value = 0; value < 256; value++)
            vocabulary[ByteLevelAlphabet.Symbol((byte)value).ToString()] = value;
        return TokenizerJson.Document(
            preTokenizer: TokenizerJson.ByteLevel(),
            decoder: TokenizerJson.ByteLevel(),
            model: TokenizerJson.Bpe(vocabulary, merges: []));
    }

    /// <summary>Whether a vocabulary of byte-level symbols maps each byte to its own id.</summary>
    internal static bool IsVocabulary(IReadOnlyDictionary<string, int> vocabulary) =>
        vocabulary.Count == 256
        && Enumerable.Range(0, 256).All(value =>
            vocabulary.TryGetValue(ByteLevelAlphabet.Symbol((byte)value).ToString(), out var id) && id == value);
}

/// <summary>GPT-2's <c>bytes_to_unicode</c> (Radford 2019): printable bytes map to themselves, others to U+0100 and on.</summary>
internal static class ByteLevelAlphabet
{
    private static readonly char[] Symbols = Build();
    private static readonly short[] Values = Invert();

    public static char Symbol(byte value) => Symbols[value];

    public static bool TryGetByte(char symbol, out byte value)
    {
        var found = symbol < Values.Length ? Values[symbol] : -1;
        value = (byte)found;
        return found >= 0;
    }

    private static short[] Invert()
    {
        var values = new short[Symbols.Max() + 1];
        Array.Fill(values, (short)-1);
        for (short value = 0; value < Symbols.Length; value++)
            values[Symbols[value]] = value;
        return values;
    }

    private static char[] Build()
    {
        var symbols = new char[256];
        var next = 0x100;
        for (var value = 0; value < symbols.Length; value++)
            symbols[value] = IsPrintable(value) ? (char)value : (char)next++;
        return symbols;
    }

    private static bool IsPrintable(int value) => value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
}
