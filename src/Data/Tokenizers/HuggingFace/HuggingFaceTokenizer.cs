using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using Trainer.Configuration;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>A Hugging Face <c>tokenizer.json</c>, with exactly the results of their <c>tokenizers</c> library. Special tokens are added
/// only on request (<see cref="EncodeWithSpecialTokens"/>); truncation and padding are not applied. The vocabulary size is the largest id +
/// 1; unassigned ids decode to nothing.</summary>
public sealed class HuggingFaceTokenizer : Tokenizer
{
    private readonly JsonObject content;
    private readonly TokenizerPipeline pipeline;
    private readonly ConcurrentBag<PipelineEncoder> idleEncoders = [];
    private readonly byte[]?[] bytes;

    private HuggingFaceTokenizer(JsonObject content, TokenizerPipeline pipeline)
    {
        this.content = content;
        this.pipeline = pipeline;
        bytes = new byte[]?[pipeline.Tokens.Count];
        SpecialTokens = pipeline.Added.Tokens.Where(entry => entry.Value.Special).Select(entry => entry.Key).ToHashSet();
    }

    /// <summary>Copies a file's content; <paramref name="name"/> is for errors. Throws where it is damaged or not supported.</summary>
    public static HuggingFaceTokenizer Parse(JsonObject content, string name)
    {
        try
        {
            var copy = (JsonObject)content.DeepClone();
            return new HuggingFaceTokenizer(copy, new TokenizerPipeline(new JsonSection(name, "", (JsonObject)copy.DeepClone())));
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or JsonException)
        {
            throw new UserException($"{name} is damaged: {e.Message}", e);   // such as invalid Unicode, found only when read
        }
    }

    /// <inheritdoc/>
    public override string Type => pipeline.Model.Name;

    /// <inheritdoc/>
    public override int VocabularySize => bytes.Length;

    /// <inheritdoc/>
    public override IReadOnlySet<int> SpecialTokens { get; }

    /// <inheritdoc/>
    public override SpecialTokenTemplate Template => pipeline.PostProcessor.Template;

    /// <inheritdoc/>
    public override int? TokenId(string token) =>
        pipeline.Added.Id(token) is var added and >= 0 ? added : pipeline.Model.Id(token) is var id and >= 0 ? id : null;

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, IBufferWriter<int> ids)
    {
        if (Utf16.FirstLoneSurrogate(text) is var lone and >= 0)
            throw EncodingException.LoneSurrogate(text[lone], lone);
        var encoder = Rent();
        encoder.Encode(text);
        Return(encoder, ids);
    }

    internal override IReadOnlyList<string> SpecialTokenNames =>
        [.. pipeline.Added.Tokens.Values.Where(token => token.Special).Select(token => token.Content)];

    internal override IReadOnlyList<(int Start, int End, int? Id)> SplitSpecial(string text, IReadOnlySet<int> plain) =>
        pipeline.Added.Special is { } matcher && matcher.IsIn(text)
            ? [.. matcher.Split(text, plain).Select(part => (part.Start, part.End, part.Token?.Id))]
            : base.SplitSpecial(text, plain);

    internal override void EncodeOrdinary(ReadOnlySpan<char> text, bool atStart, IBufferWriter<int> ids)
    {
        if (Utf16.FirstLoneSurrogate(text) is var lone and >= 0)
            throw EncodingException.LoneSurrogate(text[lone], lone);
        var encoder = Rent();
        encoder.EncodeOrdinary(text, atStart);
        Return(encoder, ids);
    }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids)
    {
        var encoder = Rent();
        var text = ArrayPool<char>.Shared.Rent(utf8.Length);
        try
        {
            for (var position = 0; position < utf8.Length;)
            {
                Utf8.ToUtf16(utf8[position..], text, out var read, out var written, replaceInvalidSequences: false);
                encoder.Encode(text.AsSpan(0, written));
                position += read;
                position += EncodeInvalid(utf8, position, encoder);
            }
        }
        finally
        {
            ArrayPool<char>.Shared.Return(text);
        }
        Return(encoder, ids);
    }

    /// <inheritdoc/>
    public override int[] EncodeWithSpecialTokens(string text, string? second = null) =>
        pipeline.PostProcessor.Apply(Encode(text), second is null ? null : Encode(second));

    /// <summary>The bytes of one token between others, such as with the space that a decoder puts before a word.</summary>
    public override ReadOnlySpan<byte> TokenBytes(int id)
    {
        if ((uint)id >= (uint)bytes.Length)
            throw new ArgumentOutOfRangeException(nameof(id), id, $"token ids of this vocabulary are 0 to {bytes.Length - 1}");
        return bytes[id] ??= FindBytes(pipeline.Tokens[id]);
    }

    /// <inheritdoc/>
    public override byte[] DecodeBytes(ReadOnlySpan<int> ids) =>
        pipeline.WritesBytes ? base.DecodeBytes(ids) : Encoding.UTF8.GetBytes(Decode(ids));

    /// <inheritdoc/>
    public override string Decode(ReadOnlySpan<int> ids)
    {
        if (pipeline.WritesBytes)
            return base.Decode(ids);
        var decoder = new PipelineStreamingDecoder(pipeline);
        var text = new StringBuilder();
        foreach (var id in ids)
            text.Append(decoder.Push(id));
        return text.Append(decoder.Flush()).ToString();
    }

    /// <inheritdoc/>
    public override StreamingDecoder CreateDecoder() => new PipelineStreamingDecoder(pipeline);

    /// <summary>The file's content as read, including unused fields.</summary>
    public override JsonObject ToJson() => (JsonObject)content.DeepClone();

    private PipelineEncoder Rent()
    {
        var encoder = idleEncoders.TryTake(out var idle) ? idle : pipeline.CreateEncoder();
        encoder.Output.Clear();
        return encoder;
    }

    private void Return(PipelineEncoder encoder, IBufferWriter<int> ids)
    {
        encoder.Output.MoveTo(ids);
        idleEncoders.Add(encoder);
    }

    /// <summary>Encodes the invalid UTF-8 from here on and returns its length.</summary>
    private int EncodeInvalid(ReadOnlySpan<byte> utf8, int start, PipelineEncoder encoder)
    {
        var end = start;
        while (end < utf8.Length && Rune.DecodeFromUtf8(utf8[end..], out _, out var length) != OperationStatus.Done)
            end += length;
        if (end == start)
            return 0;
        if (!pipeline.ReadsBytes)
            throw EncodingException.InvalidUtf8(utf8[start], start);
        encoder.EncodeBytes(utf8[start..end]);
        return end - start;
    }

    private byte[] FindBytes(string? token)
    {
        if (token is null)
            return [];
        if (pipeline.WritesBytes)
            return ByteLevelStage.Bytes(token);
        return pipeline.FallbackByte(token) is { } value ? [value] : Encoding.UTF8.GetBytes(Between(token));
    }

    private string Between(string token)
    {
        const string Other = "a";
        string Run(params string[] tokens)
        {
            var end = new CollectStage();
            var stages = pipeline.CreateDecoder(end);
            foreach (var part in tokens)
                stages.Push(part, begins: true);
            stages.Flush();
            return end.Take();
        }
        var (around, alone) = (Run(Other, token, Other), Run(Other, Other));
        return around[Math.Min(Other.Length, around.Length)..Math.Max(Math.Min(Other.Length, around.Length),
            around.Length - (alone.Length - Other.Length))];
    }
}

internal sealed class PipelineStreamingDecoder : StreamingDecoder
{
    private readonly TokenizerPipeline pipeline;
    private readonly CollectStage end = new();
    private readonly DecoderStage first;

    public PipelineStreamingDecoder(TokenizerPipeline pipeline)
    {
        this.pipeline = pipeline;
        first = pipeline.CreateDecoder(end);
    }

    public override string Push(int id)
    {
        if ((uint)id >= (uint)pipeline.Tokens.Count)
            throw new ArgumentOutOfRangeException(nameof(id), id, $"token ids of this vocabulary are 0 to {pipeline.Tokens.Count - 1}");
        if (pipeline.Tokens[id] is { } token)
            first.Push(token, begins: true);
        return end.Take();
    }

    public override string Flush()
    {
        first.Flush();
        return end.Take();
    }
}
