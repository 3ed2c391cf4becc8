// Shapes: B texts, T tokens of the longest, C model dimension.
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Embeds texts as vectors by pooling the hidden states of their tokens, the special ones around a text among them, from an
/// encoder or a decoder. With <paramref name="normalize"/> vectors have length 1, so that their dot product is the cosine
/// similarity.</summary>
/// <remarks>Not thread-safe; <see cref="TrainerEmbeddingGenerator"/> is.</remarks>
public sealed class TextEmbedder(LanguageModel model, Tokenizer tokenizer, Device device, Pooling pooling, bool normalize = false)
    : IDisposable
{
    private const int TextsAtOnce = 32;

    private bool ownsModel;

    /// <summary>Opens a checkpoint's directory or a run's best, else newest.</summary>
    /// <exception cref="UserException">There is none, it is damaged, or it does not fit the device.</exception>
    public static TextEmbedder Open(
        string path, Pooling pooling = Pooling.Mean, bool normalize = false, DeviceChoice device = DeviceChoice.Auto) =>
        Open(Checkpoint.Open(path), pooling, normalize, device);

    internal static TextEmbedder Open(Checkpoint checkpoint, Pooling pooling, bool normalize, DeviceChoice device)
    {
        Device chosen = DeviceSelection.Choose(device);
        return new(checkpoint.LoadModel(chosen), checkpoint.Tokenizer, chosen, pooling, normalize) { ownsModel = true };
    }

    /// <summary>How many numbers a vector has: C.</summary>
    public int Dimensions => model.Options.Dim;

    /// <summary>A vector of C numbers for each text, in order; texts of similar length share a batch.</summary>
    /// <exception cref="UserException">A text is empty or too long, or the model is an encoder-decoder.</exception>
    public IReadOnlyList<float[]> Embed(IReadOnlyList<string> texts) => Embed(texts, out _);

    /// <summary>Frees the model that <see cref="Open(string, Pooling, bool, DeviceChoice)"/> loaded; one that was given stays.</summary>
    public void Dispose()
    {
        if (ownsModel) model.Dispose();
    }

    internal IReadOnlyList<float[]> Embed(IReadOnlyList<string> texts, out int tokens)
    {
        if (model.Options is EncoderDecoderOptions)
            throw new UserException(
                "an encoder-decoder has no one vector for a text; embed with a model of architecture 'encoder' or 'decoder'");
        int[][] rows = [.. texts.Select(Encode)];
        tokens = rows.Sum(row => row.Length);
        var vectors = new float[texts.Count][];
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        // Linear attention sums over padding, too: there only texts of one length share a batch.
        bool pads = model.Options.KeepsDocumentsApart();
        foreach (int[] indices in Enumerable.Range(0, texts.Count).OrderBy(index => rows[index].Length)
            .GroupBy(index => pads ? 0 : rows[index].Length).SelectMany(alike => alike.Chunk(TextsAtOnce)))
            Embed([.. indices.Select(index => rows[index])]).Zip(indices).ToList().ForEach(pair => vectors[pair.Second] = pair.First);
        return vectors;
    }

    private IEnumerable<float[]> Embed(int[][] rows)
    {
        using DisposeScope scope = NewDisposeScope();
        SourceRows padded = SourceRows.Pad(rows);
        Tensor hidden = model.Hidden(padded.ToInput(device)); // (B, T, C)
        Tensor pooled = stack([.. rows.Select((row, index) => Pool(hidden.select(0, index).narrow(0, 0, row.Length)))]); // (B, C)
        if (normalize) pooled = pooled.div(pooled.square().sum(-1, keepdim: true).sqrt());
        int width = (int)pooled.size(1);
        return pooled.cpu().contiguous().data<float>().ToArray().Chunk(width);
    }

    // (T, C) → (C)
    private Tensor Pool(Tensor tokens) => pooling switch
    {
        Pooling.Mean => tokens.mean([0]),
        Pooling.First => tokens.select(0, 0),
        Pooling.Last => tokens.select(0, tokens.size(0) - 1),
        _ => throw new ArgumentOutOfRangeException(nameof(pooling), pooling, "unknown pooling"),
    };

    private int[] Encode(string text)
    {
        int[] ids = tokenizer.EncodeWithSpecialTokens(text);
        if (ids.Length == tokenizer.Template.Length)
            throw new UserException("a text is empty: there is nothing to embed; give at least one character");
        return ids.Length <= model.ContextLength
            ? ids
            : throw new UserException(
                $"a text has {ids.Length} tokens, but the model's context holds {model.ContextLength}; "
                + $"shorten it (\"{text[..Math.Min(40, text.Length)]}…\")");
    }
}

/// <summary>How the hidden states of a text's tokens become one vector.</summary>
public enum Pooling
{
    /// <summary>Their mean: the usual choice for encoders (Reimers and Gurevych 2019, arXiv 1908.10084).</summary>
    Mean,

    /// <summary>The first token's, such as [CLS].</summary>
    First,

    /// <summary>The last token's, the only one that has seen the whole text in a decoder.</summary>
    Last,
}
