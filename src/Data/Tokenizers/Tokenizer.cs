using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Data.Tokenizers;

/// <summary>Converts between text and token ids 0 … <see cref="VocabularySize"/>−1. Immutable and thread-safe. An id or a text that the
/// vocabulary lacks is an <see cref="ArgumentOutOfRangeException"/> or an <see cref="EncodingException"/>.</summary>
public abstract class Tokenizer
{
    /// <summary>Such as <c>byte</c>, <c>bpe</c> or <c>unigram</c>.</summary>
    public abstract string Type { get; }

    /// <summary>Number of distinct tokens.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>Appends the tokens of a text; a lone surrogate is an <see cref="EncodingException"/>.</summary>
    public abstract void Encode(ReadOnlySpan<char> text, IBufferWriter<int> ids);

    /// <summary>Appends the tokens of UTF-8 text; only byte-level tokenizers accept invalid UTF-8.</summary>
    public abstract void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids);

    /// <summary>The UTF-8 bytes of one token, possibly part of a character.</summary>
    public abstract ReadOnlySpan<byte> TokenBytes(int id);

    /// <summary>Ids of tokens that control the model, such as <c>[MASK]</c>; empty for most tokenizers.</summary>
    public virtual IReadOnlySet<int> SpecialTokens => System.Collections.Frozen.FrozenSet<int>.Empty;

    /// <summary>The id of a token by its exact name in the file, such as <c>[MASK]</c>; null if there is none.</summary>
    public virtual int? TokenId(string token) => null;

    /// <summary>The special tokens that <see cref="EncodeWithSpecialTokens"/> adds around a text; none for most.</summary>
    public virtual SpecialTokenTemplate Template => SpecialTokenTemplate.Empty;

    /// <summary>The tokens of a text, or a pair of texts, with the special tokens that the model expects.</summary>
    public virtual int[] EncodeWithSpecialTokens(string text, string? second = null) =>
        [.. Encode(text), .. second is null ? [] : Encode(second)];

    /// <summary>The names of <see cref="SpecialTokens"/>.</summary>
    internal virtual IReadOnlyList<string> SpecialTokenNames => [];

    /// <summary>Divides a text into special tokens and what is between them, except for tokens at <paramref name="plain"/>, which are only
    /// text.</summary>
    internal virtual IReadOnlyList<(int Start, int End, int? Id)> SplitSpecial(string text, IReadOnlySet<int> plain) =>
        text.Length == 0 ? [] : [(0, text.Length, null)];

    /// <summary>Appends the tokens of a text whose special tokens are only text; without <paramref name="atStart"/>, of one that follows
    /// another.</summary>
    internal virtual void EncodeOrdinary(ReadOnlySpan<char> text, bool atStart, IBufferWriter<int> ids) => Encode(text, ids);

    /// <summary>The content of <c>tokenizer.json</c>, which <see cref="Load"/> reads back.</summary>
    public abstract JsonObject ToJson();

    /// <inheritdoc cref="Encode(ReadOnlySpan{char}, IBufferWriter{int})"/>
    public int[] Encode(string text) => Encode(text.AsSpan());

    /// <inheritdoc cref="Encode(ReadOnlySpan{char}, IBufferWriter{int})"/>
    public int[] Encode(ReadOnlySpan<char> text)
    {
        var ids = new ArrayBufferWriter<int>(Math.Max(1, text.Length));
        Encode(text, ids);
        return ids.WrittenSpan.ToArray();
    }

    /// <inheritdoc cref="Encode(ReadOnlySpan{byte}, IBufferWriter{int})"/>
    public int[] Encode(ReadOnlySpan<byte> utf8)
    {
        var ids = new ArrayBufferWriter<int>(Math.Max(1, utf8.Length));
        Encode(utf8, ids);
        return ids.WrittenSpan.ToArray();
    }

    /// <summary>The bytes of tokens, exactly as encoded.</summary>
    public virtual byte[] DecodeBytes(ReadOnlySpan<int> ids)
    {
        var bytes = new ArrayBufferWriter<byte>(Math.Max(1, ids.Length));
        foreach (var id in ids)
            bytes.Write(TokenBytes(id));
        return bytes.WrittenSpan.ToArray();
    }

    /// <summary>The text of tokens, with U+FFFD for invalid UTF-8.</summary>
    public virtual string Decode(ReadOnlySpan<int> ids) => Encoding.UTF8.GetString(DecodeBytes(ids));

    /// <summary>Starts decoding token by token, for one sequence on one thread.</summary>
    public virtual StreamingDecoder CreateDecoder() => new Utf8StreamingDecoder(this);

    /// <summary>Starts decoding what follows other tokens of the same text: a space between them stays, which many vocabularies drop
    /// where a text begins.</summary>
    /// <param name="before">Those other tokens; special ones among them are no text.</param>
    public StreamingDecoder CreateDecoder(IEnumerable<int> before)
    {
        int[] text = [.. before.Where(id => !SpecialTokens.Contains(id))];
        return text.Length == 0 ? CreateDecoder() : new ContinuationDecoder(this, text);
    }

    /// <summary>Writes <c>tokenizer.json</c> atomically.</summary>
    public void Save(string path) => TokenizerFile.Save(this, path);

    /// <summary>Reads a <c>tokenizer.json</c> of any kind; throws where it is damaged or not supported.</summary>
    public static Tokenizer Load(string path) => TokenizerFile.Load(path);

    private protected static ReadOnlySpan<byte> Entry(byte[][] table, int id) =>
        (uint)id < (uint)table.Length
            ? table[id]
            : throw new ArgumentOutOfRangeException(nameof(id), id, $"token ids of this vocabulary are 0 to {table.Length - 1}");
}

/// <summary>The ids of the special tokens around a text, such as <c>[CLS]</c> and <c>[SEP]</c>.</summary>
public sealed record SpecialTokenTemplate(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    internal static SpecialTokenTemplate Empty { get; } = new([], []);

    /// <summary>Number of tokens.</summary>
    public int Length => Before.Count + After.Count;
}

/// <summary>Decodes token by token. All results of <see cref="Push"/> and a final <see cref="Flush"/> together equal
/// <see cref="Tokenizer.Decode"/>.</summary>
public abstract class StreamingDecoder
{
    /// <summary>Returns the whole characters that the next token completes: none, one or several.</summary>
    public abstract string Push(int id);

    /// <summary>Ends the sequence and returns U+FFFD for an unfinished character, else nothing; the decoder can be reused.</summary>
    public abstract string Flush();
}

internal sealed class Utf8StreamingDecoder(Tokenizer tokenizer) : StreamingDecoder
{
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();

    public override string Push(int id) => Convert(tokenizer.TokenBytes(id), flush: false);

    public override string Flush() => Convert([], flush: true);

    private string Convert(ReadOnlySpan<byte> bytes, bool flush)
    {
        var characters = new char[decoder.GetCharCount(bytes, flush)];
        return new string(characters, 0, decoder.GetChars(bytes, characters, flush));
    }
}

/// <summary>Decodes what follows other tokens.</summary>
internal sealed class ContinuationDecoder : StreamingDecoder
{
    private readonly StreamingDecoder decoder;
    private string known; // text of the tokens before that the decoder has yet to give

    public ContinuationDecoder(Tokenizer tokenizer, IReadOnlyList<int> before)
    {
        (decoder, StreamingDecoder ended) = (tokenizer.CreateDecoder(), tokenizer.CreateDecoder());
        foreach (int id in before)
        {
            decoder.Push(id);
            ended.Push(id);
        }
        known = ended.Flush();
    }

    public override string Push(int id) => New(decoder.Push(id));

    public override string Flush() => New(decoder.Flush());

    // A character that the tokens before only begin is new as a whole.
    private string New(string piece)
    {
        if (piece.Length == 0 || known.Length == 0) return piece;
        int same = piece.AsSpan().CommonPrefixLength(known);
        known = "";
        return piece[same..];
    }
}

/// <summary>A text that a tokenizer cannot encode; <paramref name="unit"/> is what <paramref name="position"/> counts.</summary>
public sealed class EncodingException(string reason, int position, string unit = "position")
    : UserException($"{reason} (at {unit} {position})")
{
    /// <summary>What is wrong and how to fix it, without the position.</summary>
    public string Reason { get; } = reason;

    /// <summary>From 0: a UTF-16 index for text, an offset for bytes.</summary>
    public int Position { get; } = position;

    internal static EncodingException LoneSurrogate(char value, int position) => new(
        $"the text holds U+{(int)value:X4}, half of a surrogate pair and no character of its own; remove it or replace it by U+FFFD",
        position);

    internal static EncodingException InvalidUtf8(byte value, int offset) => new(
        $"the bytes are not valid UTF-8: 0x{value:X2} begins no whole character; convert them to UTF-8, or use the byte tokenizer", offset,
        "byte");
}
