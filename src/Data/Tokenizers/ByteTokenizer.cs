using System.Buffers;
using System.Text.Json.Nodes;

namespace Trainer.Data;

/// <summary>The tokenizer whose token ids are the bytes of UTF-8. Any bytes survive encoding and decoding.</summary>
public sealed class ByteTokenizer : Tokenizer
{
    private static readonly byte[][] Bytes = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })];

    private ByteTokenizer() { }

    /// <summary>The one byte tokenizer.</summary>
    public static ByteTokenizer Instance { get; } = new();

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
            var status = System.Text.Unicode.Utf8.FromUtf16(text[position..], bytes, out var read, out var written, replaceInvalidSequences: false);
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

    /// <summary>Hugging Face's byte-level BPE without any merge, which gives the same tokens there.</summary>
    /// <returns>The content of <c>tokenizer.json</c>.</returns>
    public override JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var value = 0; value < 256; value++)
            vocabulary[ByteLevelAlphabet.Symbol((byte)value).ToString()] = value;
        return HuggingFaceTokenizer.Document(
            preTokenizer: HuggingFaceTokenizer.ByteLevel(),
            decoder: HuggingFaceTokenizer.ByteLevel(),
            model: HuggingFaceTokenizer.Bpe(vocabulary, merges: []));
    }

    /// <summary>Whether a vocabulary of byte-level symbols is this tokenizer's: symbol of byte b ↔ id b.</summary>
    internal static bool IsVocabulary(IReadOnlyDictionary<string, int> vocabulary) =>
        vocabulary.Count == 256
        && Enumerable.Range(0, 256).All(value => vocabulary.TryGetValue(ByteLevelAlphabet.Symbol((byte)value).ToString(), out var id) && id == value);
}
