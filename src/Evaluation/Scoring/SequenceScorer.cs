// Shapes: T tokens, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Scoring;

/// <summary>Scores the tokens of one text, all of it seen at once: what <c>score</c> does, by the architecture of the model.</summary>
/// <remarks>A new architecture is one derived class and one line in <see cref="For"/>. Not thread-safe.</remarks>
public abstract class SequenceScorer
{
    /// <summary>Logits beyond this are no longer one text's: it is measured in windows.</summary>
    private const long MostLogitBytes = 1L << 32;

    private protected SequenceScorer(LanguageModel model, Tokenizer tokenizer) => (Model, Tokenizer) = (model, tokenizer);

    private protected LanguageModel Model { get; }

    private protected Tokenizer Tokenizer { get; }

    /// <summary>The scorer of a model.</summary>
    /// <param name="model">The model, in evaluation mode.</param>
    /// <param name="tokenizer">The tokenizer it was trained with.</param>
    public static SequenceScorer For(LanguageModel model, Tokenizer tokenizer) => model.Options switch
    {
        EncoderOptions => new MaskedScorer(model, tokenizer),
        EncoderDecoderOptions => new TranslationScorer(model, tokenizer),
        _ => new CausalScorer(model, tokenizer),
    };

    /// <summary>Why the model cannot score tokens, though it has logits of them; <c>null</c> where it can.</summary>
    public virtual string? Obstacle => null;

    /// <summary>Whether the model reads another text beside the one that is scored.</summary>
    public virtual bool NeedsSource => false;

    /// <summary>The tokens of a text as this model is given it.</summary>
    /// <param name="text">The text.</param>
    /// <returns>Token ids, with the special tokens that the architecture needs around them.</returns>
    /// <exception cref="UserException">The tokenizer cannot express the text, or lacks a special token.</exception>
    public abstract int[] Encode(string text);

    /// <summary>The tokens of a text as this model reads it beside another.</summary>
    /// <param name="text">The source text.</param>
    /// <returns>Token ids, with the special tokens that the architecture needs around them.</returns>
    /// <exception cref="UserException">The tokenizer cannot express the text, or the model reads no source.</exception>
    public virtual int[] EncodeSource(string text) => throw NoSource();

    /// <summary>The model's raw logits.</summary>
    /// <param name="tokens">Token ids, T of them.</param>
    /// <param name="source">Token ids of what an encoder-decoder reads; null for other models.</param>
    /// <returns>(T, V) float32; the caller disposes it.</returns>
    /// <exception cref="UserException">There are no tokens, or more than the model can take; an id is outside the vocabulary; a source is missing or too many.</exception>
    public Tensor Logits(IReadOnlyList<int> tokens, IReadOnlyList<int>? source = null)
    {
        if (source is not null && !NeedsSource) throw NoSource();
        if (source is null && NeedsSource)
            throw new UserException("an encoder-decoder scores one text beside another: say with --source or --source-tokens what it reads");
        RequireLogitsToFit(tokens);
        RequireIds(tokens, "token");
        RequireIds(source ?? [], "source token");
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        ModelInput input = new(Row(tokens)) { Source = source is null ? null : new ModelInput(Row(source)) };
        return Model.call(input).squeeze(0).MoveToOuterDisposeScope(); // (1, T, V) → (T, V)
    }

    /// <summary>The score of each token.</summary>
    /// <param name="tokens">Token ids, T of them.</param>
    /// <param name="logits">Their logits, from <see cref="Logits"/>.</param>
    /// <returns>The scores.</returns>
    /// <exception cref="UserException">The model cannot score tokens; see <see cref="Obstacle"/>.</exception>
    public TokenScores Score(IReadOnlyList<int> tokens, Tensor logits)
    {
        if (Obstacle is { } obstacle) throw new UserException(obstacle);
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        return new(tokens, Losses(tokens, logits));
    }

    /// <summary>−log p of each token, from its logits (T, V).</summary>
    private protected abstract IReadOnlyList<double?> Losses(IReadOnlyList<int> tokens, Tensor logits);

    /// <summary>One row of token ids, (1, T).</summary>
    private protected Tensor Row(IReadOnlyList<int> tokens) =>
        tensor([.. tokens.Select(id => (long)id)], [1, tokens.Count], dtype: ScalarType.Int64).to(Model.Device);

    private static UserException NoSource() =>
        new("a source is for encoder-decoders, which read one text and write another; this model reads only what it scores: leave out --source and --source-tokens");

    private void RequireLogitsToFit(IReadOnlyList<int> tokens)
    {
        if (tokens.Count == 0) throw new UserException("there is nothing to score: the text has no tokens");
        long bytes = (long)tokens.Count * Model.VocabularySize * sizeof(float);
        if (bytes > MostLogitBytes)
            throw new UserException(
                $"{tokens.Count} tokens have {bytes / 1e9:0.0} GB of logits, more than one text may have ({MostLogitBytes / 1e9:0.0} GB); measure long texts with evaluate --data, or score a part");
    }

    private void RequireIds(IReadOnlyList<int> tokens, string name)
    {
        for (int i = 0; i < tokens.Count; i++)
            if ((uint)tokens[i] >= (uint)Model.VocabularySize)
                throw new UserException($"{name} {i} is {tokens[i]}, but the model's token ids are 0 to {Model.VocabularySize - 1}");
    }
}
