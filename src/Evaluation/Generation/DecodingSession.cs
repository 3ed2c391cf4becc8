using TorchSharp;
using Trainer.Transformers;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Generation;

/// <summary>The logits of the next token of a growing text, each token computed once while the context lasts.</summary>
/// <param name="model">The model.</param>
/// <param name="device">Where it is.</param>
/// <param name="keep">How many of the first tokens stay before the rest where the context is made anew: what begins every text that the model knows.</param>
/// <param name="source">What an encoder reads, one row; null for a decoder alone.</param>
internal sealed class DecodingSession(LanguageModel model, Device device, int keep = 0, ModelInput? source = null) : IDisposable
{
    private readonly float[] logits = new float[model.VocabularySize];
    private readonly int kept = Math.Min(keep, Math.Max(0, model.ContextLength / 2 - 1)); // half a context always has room for the last token, too
    private DecodingState? state;
    private int left; // tokens that the state no longer holds

    /// <summary>The logits of the token that follows a text.</summary>
    /// <param name="text">What the last call was given and any number of further tokens, at most a context of them.</param>
    /// <returns>V logits, until the next call.</returns>
    public ReadOnlySpan<float> Next(List<int> text)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        int[] pending = Pending(text);
        using Tensor tokens = tensor(Array.ConvertAll(pending, id => (long)id), [1, pending.Length], dtype: ScalarType.Int64);
        model.NextLogits(tokens.to(device), state!).to(ScalarType.Float32).cpu().data<float>().CopyTo(logits);
        return logits;
    }

    /// <inheritdoc/>
    public void Dispose() => state?.Dispose();

    /// <summary>The tokens not computed yet; half a context of them where the whole one is full, or the prefix that the model reads together if that is more.</summary>
    private int[] Pending(List<int> text)
    {
        int context = model.ContextLength;
        if (state is null) Restart();
        else if (text.Count - left > context)
        {
            Restart();
            left = text.Count - Math.Max(model.PrefixLength, context / 2);
            return [.. text[..kept], .. text[(left + kept)..]];
        }
        return [.. text[(left + state!.Length)..]];
    }

    private void Restart()
    {
        state?.Dispose();
        state = model.NewDecodingState(batch: 1, capacity: model.ContextLength, source);
    }
}
