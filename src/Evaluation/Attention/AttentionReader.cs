// Shapes: B batch (1 here), H heads, T queries, S keys.
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Reporting;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Attention;

/// <summary>Reads the attention weights of a model on a text; <paramref name="special"/> are the tokens around what an encoder-decoder
/// reads and writes, null for the tokenizer's usual ones.</summary>
public sealed class AttentionReader(LanguageModel model, Tokenizer tokenizer, SequenceTokens? special = null)
{
    /// <summary>The weights of every attention layer over a text, or over an encoder-decoder's source and target.</summary>
    /// <exception cref="UserException">A text is missing, empty, too long, not for this model, or not in the tokenizer's words.</exception>
    public AttentionMap Read(string name, string text, string? source = null)
    {
        var (ids, sourceIds) = Encode(text, source);
        var training = model.training;
        model.eval();
        try
        {
            using var scope = NewDisposeScope();
            ModelInput input = new(Row(ids)) { Source = sourceIds is null ? null : new ModelInput(Row(sourceIds)) };
            var labels = TokenLabels.Of(tokenizer, ids);
            var sourceLabels = sourceIds is null ? null : TokenLabels.Of(tokenizer, sourceIds);
            return new AttentionMap(name, [.. model.AttentionMaps(input).GroupBy(layer => (layer.Stack, layer.Cross))
                .Select(stack => Stack(stack.Key.Stack, stack.Key.Cross, [.. stack], labels, sourceLabels))]);
        }
        finally
        {
            model.train(training);
        }
    }

    /// <summary>As in training: with an encoder's special tokens, or a decoder's begin token and those around its source.</summary>
    private (int[] Text, int[]? Source) Encode(string text, string? source)
    {
        if (model.Options is not EncoderDecoderOptions)
        {
            if (source is not null)
                throw new UserException("a source was given, but only a model of architecture 'encoder-decoder' reads one; " +
                    "leave --source out");
            return (Checked(model.Options is EncoderOptions ? tokenizer.EncodeWithSpecialTokens(text) : tokenizer.Encode(text), "the text"),
                null);
        }
        if (source is null)
            throw new UserException("an encoder-decoder reads a source; give it with --source, and what its decoder writes with --text");
        var tokens = special ?? SequenceTokens.Of(tokenizer);
        return (Checked([tokens.Begin, .. tokens.Before, .. tokenizer.Encode(text)], "the text"),
            Checked(tokens.Source(tokenizer.Encode(source)), "the source"));
    }

    private int[] Checked(int[] ids, string what) =>
        ids.Length == 0 ? throw new UserException($"{what} is empty: there is nothing to look at; give at least one character")
        : ids.Length > model.ContextLength ? throw new UserException(
            $"{what} has {ids.Length} tokens, but the model's context holds {model.ContextLength}; shorten it by at least " +
            $"{ids.Length - model.ContextLength} tokens")
        : ids;

    private Tensor Row(int[] ids) => tensor(Array.ConvertAll(ids, id => (long)id), device: model.Device).unsqueeze(0); // (1, T)

    private static AttentionStack Stack(
        string name, bool cross, AttentionWeights[] layers, IReadOnlyList<string> labels, IReadOnlyList<string>? sourceLabels)
    {
        var queries = name == "encoder" && sourceLabels is not null ? sourceLabels : labels;
        AttentionStack stack = new()
        {
            Name = cross ? "cross" : name,
            Queries = queries,
            Keys = cross ? sourceLabels! : queries,
            Layers = [.. layers.OrderBy(layer => layer.Layer).Select(Layer)],
        };
        stack.RequireWhole();
        return stack;
    }

    internal static AttentionLayer Layer(AttentionWeights layer)
    {
        var weights = layer.Weights[0].to_type(ScalarType.Float32).cpu().contiguous(); // (H, T, S)
        return new AttentionLayer(layer.Layer, (int)weights.size(0), weights.data<float>().ToArray());
    }
}
