// Shapes: T tokens, V vocabulary.
using Trainer.Text;
using Trainer.Transformers;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Evaluation.Scoring;

/// <summary>Decoders: each token is predicted from those before it; the first one from nothing.</summary>
internal class CausalScorer(LanguageModel model, Tokenizer tokenizer) : SequenceScorer(model, tokenizer)
{
    public override int[] Encode(string text) => Tokenizer.Encode(text);

    private protected sealed override IReadOnlyList<double?> Losses(IReadOnlyList<int> tokens, Tensor logits)
    {
        int predicted = tokens.Count - 1;
        if (predicted == 0) return [null];
        Tensor targets = tensor([.. tokens.Skip(1).Select(id => (long)id)]).to(logits.device); // (T−1)
        Tensor losses = functional.cross_entropy(logits.narrow(0, 0, predicted), targets, reduction: Reduction.None); // (T−1, V) → (T−1)
        return [null, .. losses.cpu().data<float>().ToArray().Select(loss => (double?)loss)];
    }
}
