using System.Buffers;
using System.Collections.Concurrent;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using Trainer.Configuration;
using Trainer.Data.HuggingFace;

namespace Trainer.Data;

/// <summary>A tokenizer read from Hugging Face's <c>tokenizer.json</c>, with exactly the results of their <c>tokenizers</c> library.</summary>
/// <remarks>Text goes through added tokens, normalizer, pre-tokenizer and model; special tokens are only put around it on demand
/// (<see cref="EncodeWithSpecialTokens"/>). The file's truncation and padding are kept but not applied.
/// The vocabulary's size is the largest id + 1; ids that the file does not give decode to nothing.</remarks>
public sealed class PipelineTokenizer : Tokenizer
{
    private readonly JsonObject content;
    private readonly Pipeline pipeline;
    private readonly ConcurrentBag<Worker> workers = [];
    private readonly byte[]?[] bytes;

    private PipelineTokenizer(JsonObject content, Pipeline pipeline)
    {
        this.content = content;
        this.pipeline = pipeline;
        bytes = new byte[]?[pipeline.Tokens.Count];
        SpecialTokens = pipeline.Added.Tokens.Where(entry => entry.Value.Special).Select(entry => entry.Key).ToHashSet();
    }

    /// <summary>Builds the tokenizer of a file's content.</summary>
    /// <param name="content">The content; it is copied.</param>
    /// <param name="name">The file's path or another name for errors.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="UserException">The content is damaged, or has a component that is not supported, which is named.</exception>
    public static PipelineTokenizer Parse(JsonObject content, string name)
    {
        try
        {
            var copy = (JsonObject)content.DeepClone();
            return new PipelineTokenizer(copy, new Pipeline(new Part(name, "", (JsonObject)copy.DeepClone())));
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or JsonException)
        {
            throw new UserException($"{name} is damaged: {e.Message}", e);   // such as strings that are no Unicode, found only when read
        }
    }

    /// <inheritdoc/>
    public override string Type => pipeline.Model.Name;

    /// <inheritdoc/>
    public override int VocabularySize => bytes.Length;

    /// <inheritdoc/>
    public override IReadOnlySet<int> SpecialTokens { get; }

    /// <inheritdoc/>
    public override TextFrame Frame => pipeline.PostProcessor.Frame;

    /// <inheritdoc/>
    public override int? TokenId(string token) =>
        pipeline.Added.Id(token) is var added and >= 0 ? added : pipeline.Model.Id(token) is var id and >= 0 ? id : null;

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<char> text, IBufferWriter<int> ids)
    {
        if (EncodingValidity.FirstLoneSurrogate(text) is var lone and >= 0)
            throw EncodingException.LoneSurrogate(text[lone], lone);
        var worker = Rent();
        worker.Encode(text);
        Return(worker, ids);
    }

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids)
    {
        var worker = Rent();
        var text = ArrayPool<char>.Shared.Rent(utf8.Length);
        try
        {
            for (var position = 0; position < utf8.Length;)
            {
                Utf8.ToUtf16(utf8[position..], text, out var read, out var written, replaceInvalidSequences: false);
                worker.Encode(text.AsSpan(0, written));
                position += read;
                position += EncodeInvalid(utf8, position, worker);
            }
        }
        finally
        {
            ArrayPool<char>.Shared.Return(text);
        }
        Return(worker, ids);
    }

    /// <inheritdoc/>
    public override int[] EncodeWithSpecialTokens(string text, string? second = null) =>
        pipeline.PostProcessor.Apply(Encode(text), second is null ? null : Encode(second));

    /// <summary>The bytes of one token between others: with the space that a decoder puts before a word, for example.</summary>
    /// <inheritdoc/>
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

    /// <summary>The file's content as it was read, fields that are not used included.</summary>
    /// <returns>The content of <c>tokenizer.json</c>.</returns>
    public override JsonObject ToJson() => (JsonObject)content.DeepClone();

    private Worker Rent()
    {
        var worker = workers.TryTake(out var idle) ? idle : pipeline.CreateWorker();
        worker.Output.Clear();
        return worker;
    }

    private void Return(Worker worker, IBufferWriter<int> ids)
    {
        worker.Output.MoveTo(ids);
        workers.Add(worker);
    }

    /// <summary>Encodes the bytes from here on that are no UTF-8, each run by itself.</summary>
    /// <returns>How many there are.</returns>
    private int EncodeInvalid(ReadOnlySpan<byte> utf8, int start, Worker worker)
    {
        var end = start;
        while (end < utf8.Length && Rune.DecodeFromUtf8(utf8[end..], out _, out var length) != OperationStatus.Done)
            end += length;
        if (end == start)
            return 0;
        if (!pipeline.ReadsBytes)
            throw EncodingException.InvalidUtf8(utf8[start], start);
        worker.EncodeBytes(utf8[start..end]);
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

    /// <summary>What a token adds between two others.</summary>
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
        return around[Math.Min(Other.Length, around.Length)..Math.Max(Math.Min(Other.Length, around.Length), around.Length - (alone.Length - Other.Length))];
    }
}
