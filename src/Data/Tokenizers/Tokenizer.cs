using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;

namespace Trainer.Data;

/// <summary>Turns text into token ids 0 … <see cref="VocabularySize"/>−1 and back.</summary>
/// <remarks>Tokenizers are immutable and safe for use by several threads at once. They are kept as
/// <c>tokenizer.json</c> in the shape of Hugging Face's file of that name.</remarks>
public abstract class Tokenizer
{
    /// <summary>The kind of tokenizer, such as <c>byte</c>, <c>bpe</c> or <c>unigram</c>.</summary>
    public abstract string Type { get; }

    /// <summary>The number of different tokens.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>Appends the tokens of a text.</summary>
    /// <param name="text">The text; it must be valid UTF-16.</param>
    /// <param name="ids">Where the token ids are appended.</param>
    /// <exception cref="EncodingException">A lone surrogate, or a character that the vocabulary does not hold.</exception>
    public abstract void Encode(ReadOnlySpan<char> text, IBufferWriter<int> ids);

    /// <summary>Appends the tokens of a text given in UTF-8 bytes.</summary>
    /// <param name="utf8">The bytes; only byte-level tokenizers accept bytes that are not valid UTF-8.</param>
    /// <param name="ids">Where the token ids are appended.</param>
    /// <exception cref="EncodingException">Bytes that this tokenizer cannot express.</exception>
    public abstract void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids);

    /// <summary>The bytes of UTF-8 that one token stands for; they may be a part of a character only.</summary>
    /// <param name="id">A token id.</param>
    /// <returns>One byte or more.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no such id.</exception>
    public abstract ReadOnlySpan<byte> TokenBytes(int id);

    /// <summary>The tokens that control a model and are no text, such as <c>[MASK]</c>; none for most tokenizers.</summary>
    public virtual IReadOnlySet<int> SpecialTokens => System.Collections.Frozen.FrozenSet<int>.Empty;

    /// <summary>The id of a token by the name it has in the file, such as <c>[MASK]</c>.</summary>
    /// <param name="token">The name, character by character.</param>
    /// <returns>The id, or null when the vocabulary has no such token.</returns>
    public virtual int? TokenId(string token) => null;

    /// <summary>The special tokens that <see cref="EncodeWithSpecialTokens"/> puts around a single text; none for most tokenizers.</summary>
    public virtual TextFrame Frame => TextFrame.Empty;

    /// <summary>The tokens of a text, or of a pair of texts, with the special tokens that the model was trained with around them.</summary>
    /// <param name="text">The text.</param>
    /// <param name="second">The second text of a pair.</param>
    /// <returns>The token ids; without special tokens where the tokenizer has none.</returns>
    /// <exception cref="EncodingException">As for <see cref="Encode(string)"/>.</exception>
    public virtual int[] EncodeWithSpecialTokens(string text, string? second = null) => [.. Encode(text), .. second is null ? [] : Encode(second)];

    /// <summary>The content of <c>tokenizer.json</c>.</summary>
    /// <returns>A document that <see cref="Load"/> reads back.</returns>
    public abstract JsonObject ToJson();

    /// <summary>The tokens of a text.</summary>
    /// <param name="text">The text; it must be valid UTF-16.</param>
    /// <returns>The token ids in order.</returns>
    /// <exception cref="EncodingException">A lone surrogate, or a character that the vocabulary does not hold.</exception>
    public int[] Encode(string text) => Encode(text.AsSpan());

    /// <inheritdoc cref="Encode(string)"/>
    public int[] Encode(ReadOnlySpan<char> text)
    {
        var ids = new ArrayBufferWriter<int>(Math.Max(1, text.Length));
        Encode(text, ids);
        return ids.WrittenSpan.ToArray();
    }

    /// <summary>The tokens of a text given in UTF-8 bytes.</summary>
    /// <param name="utf8">The bytes; only byte-level tokenizers accept bytes that are not valid UTF-8.</param>
    /// <returns>The token ids in order.</returns>
    /// <exception cref="EncodingException">Bytes that this tokenizer cannot express.</exception>
    public int[] Encode(ReadOnlySpan<byte> utf8)
    {
        var ids = new ArrayBufferWriter<int>(Math.Max(1, utf8.Length));
        Encode(utf8, ids);
        return ids.WrittenSpan.ToArray();
    }

    /// <summary>The bytes that tokens stand for: exactly those that were encoded.</summary>
    /// <param name="ids">Token ids.</param>
    /// <returns>Their bytes, one after the other.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary lacks one of the ids.</exception>
    public virtual byte[] DecodeBytes(ReadOnlySpan<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>(Math.Max(1, ids.Length));
        foreach (var id in ids)
            bytes.Write(TokenBytes(id));
        return bytes.WrittenSpan.ToArray();
    }

    /// <summary>The text that tokens stand for; bytes that form no character become U+FFFD.</summary>
    /// <param name="ids">Token ids.</param>
    /// <returns>The text.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary lacks one of the ids.</exception>
    public virtual string Decode(ReadOnlySpan<int> ids) => Encoding.UTF8.GetString(DecodeBytes(ids));

    /// <summary>Starts decoding tokens one by one as they are generated.</summary>
    /// <returns>A decoder with a state of its own, for one sequence and one thread.</returns>
    public virtual StreamingDecoder CreateDecoder() => new Utf8StreamingDecoder(this);

    /// <summary>Writes <c>tokenizer.json</c>; the file is whole or absent.</summary>
    /// <param name="path">The file to write.</param>
    public void Save(string path) => TokenizerFile.Save(this, path);

    /// <summary>Reads a <c>tokenizer.json</c>, of whichever kind its content is.</summary>
    /// <param name="path">The file to read.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="Trainer.Configuration.UserException">The file is missing, damaged, or of a kind that is not supported.</exception>
    public static Tokenizer Load(string path) => TokenizerFile.Load(path);

    /// <summary>The entry of <paramref name="table"/> for a token.</summary>
    private protected static ReadOnlySpan<byte> Entry(byte[][] table, int id) =>
        (uint)id < (uint)table.Length
            ? table[id]
            : throw new ArgumentOutOfRangeException(nameof(id), id, $"token ids of this vocabulary are 0 to {table.Length - 1}");
}
