// Shapes: T tokens, P of them in the prefix, V vocabulary.
using Trainer.Data;
using Trainer.Models;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Evaluation.Scoring;

/// <summary>Decoders: each token is predicted from those before it; the first one from nothing. Tokens of a prefix that the model reads together
/// have no score.</summary>
internal class CausalScorer(LanguageModel model, Tokenizer tokenizer) : SequenceScorer(model, tokenizer)
{
    public override int[] Encode(string text) => Tokenizer.Encode(text);

    private protected sealed override IReadOnlyList<double?> Losses(IReadOnlyList<int> tokens, Tensor logits)
    {
        int given = Math.Min(tokens.Count, Model.PrefixLength), predicted = tokens.Count - given;
        IEnumerable<double?> unscored = Enumerable.Repeat<double?>(null, given);
        if (predicted == 0) return [.. unscored];
        Tensor targets = tensor([.. tokens.Skip(given).Select(id => (long)id)]).to(logits.device); // (T−P)
        Tensor losses = functional.cross_entropy(logits.narrow(0, given - 1, predicted), targets, reduction: Reduction.None); // (T−P, V) → (T−P)
        return [.. unscored, .. losses.cpu().data<float>().ToArray().Select(loss => (double?)loss)];
    }
}
