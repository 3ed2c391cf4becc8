// Shapes: B rows, T tokens, V vocabulary.
using TorchSharp;
using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Evaluation.Scoring;

/// <summary>Encoders: each token is hidden in turn and guessed from all others (pseudo-log-likelihood, Salazar et al. 2020, arXiv 1910.14659).
/// Special tokens are seen, but not scored.</summary>
internal sealed class MaskedScorer(LanguageModel model, Tokenizer tokenizer) : SequenceScorer(model, tokenizer)
{
    /// <summary>The most tokens of a batch.</summary>
    private const int TokensAtOnce = 1 << 13;

    private readonly int? mask = MaskToken.Of(tokenizer);

    public override string? Obstacle => mask is null
        ? $"an encoder guesses hidden tokens, but its tokenizer ({Tokenizer.Type}) has no mask token to hide them with ([MASK], <mask>); its logits can be had with --logits"
        : null;

    public override int[] Encode(string text) => Tokenizer.EncodeWithSpecialTokens(text);

    // The logits of the whole text play no part: in them every token has seen itself.
    private protected override IReadOnlyList<double?> Losses(IReadOnlyList<int> tokens, Tensor logits)
    {
        double?[] losses = new double?[tokens.Count];
        int[] places = [.. Enumerable.Range(0, tokens.Count).Where(place => tokens[place] != mask && !Tokenizer.SpecialTokens.Contains(tokens[place]))];
        foreach (int[] some in places.Chunk(Math.Max(1, TokensAtOnce / tokens.Count)))
        {
            using DisposeScope scope = NewDisposeScope();
            float[] theirs = Guess(tokens, some).cpu().data<float>().ToArray();
            for (int row = 0; row < some.Length; row++) losses[some[row]] = theirs[row];
        }
        return losses;
    }

    /// <summary>−log p of the tokens at some places (B), each hidden in a row of its own.</summary>
    private Tensor Guess(IReadOnlyList<int> tokens, int[] places)
    {
        Device device = Model.Device;
        Tensor at = tensor([.. places.Select(place => (long)place)], [places.Length, 1]).to(device); // (B, 1)
        Tensor row = Row(tokens), rows = row.repeat(places.Length, 1); // (B, T)
        Tensor hidden = rows.scatter(1, at, full([places.Length, 1], mask!.Value, ScalarType.Int64, device));
        Tensor own = at.squeeze(1).add(arange(0, places.Length, ScalarType.Int64, device).mul(tokens.Count)); // (B), the hidden place of each row
        Tensor guesses = Model.call(hidden).reshape(-1, Model.VocabularySize).index_select(0, own); // (B, T, V) → (B, V)
        return functional.cross_entropy(guesses, row.squeeze(0).index_select(0, at.squeeze(1)), reduction: Reduction.None);
    }
}
