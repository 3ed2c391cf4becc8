// Shapes: T tokens, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Corpora;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Evaluation.Scoring;

/// <summary>Scores a text in one pass. Not thread-safe. A new architecture is a derived class and a line in <see cref="For"/>.</summary>
/// <remarks>All throw a <see cref="UserException"/> for what cannot be read, encoded or scored, or is too long.</remarks>
public abstract class SequenceScorer
{
    /// <summary>Texts with more logits are measured in windows.</summary>
    private const long MostLogitBytes = 1L << 32;

    /// <summary>A text that is scored at once has thousands of tokens, not millions.</summary>
    private const int MostCharacters = 1 << 24;

    private protected SequenceScorer(LanguageModel model, Tokenizer tokenizer) => (Model, Tokenizer) = (model, tokenizer);

    private protected LanguageModel Model { get; }

    private protected Tokenizer Tokenizer { get; }

    /// <summary>The scorer of a model; <paramref name="special"/> are the tokens around what an encoder-decoder reads and writes, null for
    /// the tokenizer's usual ones.</summary>
    public static SequenceScorer For(LanguageModel model, Tokenizer tokenizer, SequenceTokens? special = null) => model.Options switch
    {
        EncoderOptions => new MaskedScorer(model, tokenizer),
        EncoderDecoderOptions => new TranslationScorer(model, tokenizer, special),
        _ => new CausalScorer(model, tokenizer),
    };

    /// <summary>Why the model cannot score tokens, though it has logits of them; null if it can.</summary>
    public virtual string? WhyUnsupported => null;

    internal virtual bool NeedsSource => false;

    /// <summary>The tokens of a text, with the special tokens the architecture needs.</summary>
    public abstract int[] Encode(string text);

    /// <summary>The tokens of a source text, with the special tokens the architecture needs.</summary>
    public virtual int[] EncodeSource(string text) => throw NoSource();

    /// <summary>The tokens of a file, a folder or a glob, read as one text.</summary>
    public int[] EncodeAll(string path, string datasetsDirectory, IProgress<string> progress) =>
        Encode(TextEncoding.ReadAll(new SourceOptions { Path = path }, datasetsDirectory, MostCharacters, progress));

    /// <summary>The tokens of each document and its number, from 1; documents without text are left out.</summary>
    public IEnumerable<(long Number, int[] Tokens)> EncodeDocuments(string path, string datasetsDirectory, IProgress<string> progress)
    {
        long number = 0;
        var pieces = Corpus.Open(new SourceOptions { Path = path }, "", datasetsDirectory, progress).Read();
        foreach (string? text in WholeDocuments.Of(pieces, MostCharacters))
        {
            number++;
            if (!string.IsNullOrEmpty(text)) yield return (number, Encode(text));
        }
    }

    /// <summary>The logits (T, V) of T tokens, float32, which the caller disposes. Encoder-decoders need a source.</summary>
    public Tensor Logits(IReadOnlyList<int> tokens, IReadOnlyList<int>? source = null)
    {
        if (source is not null && !NeedsSource) throw NoSource();
        if (source is null && NeedsSource)
            throw new UserException(
                "an encoder-decoder scores one text beside another: say with --source or --source-tokens what it reads");
        RequireLogitsToFit(tokens);
        RequireIds(tokens, "token");
        RequireIds(source ?? [], "source token");
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        ModelInput input = new(Row(tokens)) { Source = source is null ? null : new ModelInput(Row(source)) };
        return Model.call(input).squeeze(0).MoveToOuterDisposeScope(); // (1, T, V) → (T, V)
    }

    /// <summary>The score of each token, from its <see cref="Logits"/>.</summary>
    public TokenScores Score(IReadOnlyList<int> tokens, Tensor logits)
    {
        if (WhyUnsupported is { } reason) throw new UserException(reason);
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        return new(tokens, Losses(tokens, logits));
    }

    private protected abstract IReadOnlyList<double?> Losses(IReadOnlyList<int> tokens, Tensor logits);

    private protected Tensor Row(IReadOnlyList<int> tokens) => // (1, T)
        tensor([.. tokens.Select(id => (long)id)], [1, tokens.Count], dtype: ScalarType.Int64).to(Model.Device);

    private static UserException NoSource() =>
        new("a source is for encoder-decoders, which read one text and write another; this model reads only what it scores: leave out " +
            "--source and --source-tokens");

    private void RequireLogitsToFit(IReadOnlyList<int> tokens)
    {
        if (tokens.Count == 0) throw new UserException("there is nothing to score: the text has no tokens");
        long bytes = (long)tokens.Count * Model.VocabularySize * sizeof(float);
        if (bytes > MostLogitBytes)
            throw new UserException(
                $"{tokens.Count} tokens have {bytes / 1e9:0.0} GB of logits, more than one text may have ({MostLogitBytes / 1e9:0.0} " +
                "GB); measure long texts with evaluate --data, or score a part");
    }

    private void RequireIds(IReadOnlyList<int> tokens, string name)
    {
        for (int i = 0; i < tokens.Count; i++)
            if ((uint)tokens[i] >= (uint)Model.VocabularySize)
                throw new UserException($"{name} {i} is {tokens[i]}, but the model's token ids are 0 to {Model.VocabularySize - 1}");
    }
}

// Shapes: T tokens, P of them in the prefix, V vocabulary.

/// <summary>Decoders: each token is predicted from those before it; the first, and a prefix read together, have no score.</summary>
internal class CausalScorer(LanguageModel model, Tokenizer tokenizer) : SequenceScorer(model, tokenizer)
{
    public override int[] Encode(string text) => Tokenizer.Encode(text);

    private protected sealed override IReadOnlyList<double?> Losses(IReadOnlyList<int> tokens, Tensor logits)
    {
        int given = Math.Min(tokens.Count, Model.PrefixLength), predicted = tokens.Count - given;
        IEnumerable<double?> unscored = Enumerable.Repeat<double?>(null, given);
        if (predicted == 0) return [.. unscored];
        Tensor targets = tensor([.. tokens.Skip(given).Select(id => (long)id)]).to(logits.device); // (T−P)
        Tensor losses = functional.cross_entropy(logits.narrow(0, given - 1, predicted), targets,
            reduction: Reduction.None); // (T−P, V) → (T−P)
        return [.. unscored, .. losses.cpu().data<float>().ToArray().Select(loss => (double?)loss)];
    }
}

// Shapes: B rows, T tokens, V vocabulary.

/// <summary>Encoders: each token is masked and predicted from all others (Salazar et al. 2020, arXiv 1910.14659).</summary>
internal sealed class MaskedScorer(LanguageModel model, Tokenizer tokenizer) : SequenceScorer(model, tokenizer)
{
    private const int TokensAtOnce = 1 << 13;

    private readonly int? mask = MaskToken.Of(tokenizer);

    public override string? WhyUnsupported => mask is null
        ? $"an encoder guesses hidden tokens, but its tokenizer ({Tokenizer.Type}) has no mask token to hide them with ([MASK], " +
          "<mask>); its logits can be had with --logits"
        : null;

    public override int[] Encode(string text) => Tokenizer.EncodeWithSpecialTokens(text);

    // The logits of the whole text play no part: in them every token has seen itself.
    private protected override IReadOnlyList<double?> Losses(IReadOnlyList<int> tokens, Tensor logits)
    {
        double?[] losses = new double?[tokens.Count];
        int[] places = [.. Enumerable.Range(0, tokens.Count).Where(place => tokens[place] != mask
            && !Tokenizer.SpecialTokens.Contains(tokens[place]))];
        foreach (int[] some in places.Chunk(Math.Max(1, TokensAtOnce / tokens.Count)))
        {
            using DisposeScope scope = NewDisposeScope();
            float[] guessed = Guess(tokens, some).cpu().data<float>().ToArray();
            for (int row = 0; row < some.Length; row++) losses[some[row]] = guessed[row];
        }
        return losses;
    }

    /// <summary>−log p of the tokens at some places (B), each masked in a row of its own.</summary>
    private Tensor Guess(IReadOnlyList<int> tokens, int[] places)
    {
        Device device = Model.Device;
        Tensor at = tensor([.. places.Select(place => (long)place)], [places.Length, 1]).to(device); // (B, 1)
        Tensor row = Row(tokens), rows = row.repeat(places.Length, 1); // (B, T)
        Tensor hidden = rows.scatter(1, at, full([places.Length, 1], mask!.Value, ScalarType.Int64, device));
        Tensor own = at.squeeze(1).add(arange(0, places.Length, ScalarType.Int64,
            device).mul(tokens.Count)); // (B), the hidden place of each row
        Tensor guesses = Model.call(hidden).reshape(-1, Model.VocabularySize).index_select(0, own); // (B, T, V) → (B, V)
        return functional.cross_entropy(guesses, row.squeeze(0).index_select(0, at.squeeze(1)), reduction: Reduction.None);
    }
}

/// <summary>Encoder-decoders: each token is predicted from those before it and the source; a begin token gives the first a score.</summary>
internal sealed class TranslationScorer(LanguageModel model, Tokenizer tokenizer, SequenceTokens? special)
    : CausalScorer(model, tokenizer)
{
    internal override bool NeedsSource => true;

    private SequenceTokens Marks => special ?? SequenceTokens.Of(Tokenizer);

    public override int[] Encode(string text) => Marks.Target(Tokenizer.Encode(text));

    public override int[] EncodeSource(string text)
    {
        int[] tokens = Tokenizer.Encode(text);
        return tokens.Length > 0 ? Marks.Source(tokens) : throw new UserException("the source is empty: " +
            "there is nothing to read; give at least one character");
    }
}
