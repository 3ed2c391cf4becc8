using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>The logits of the next token of a growing text, each token computed once while the context lasts.</summary>
/// <param name="model">The model.</param>
/// <param name="device">Where it is.</param>
/// <param name="keep">How many of the first tokens stay before the rest where the context is made anew: what begins every text that the
/// model knows.</param>
/// <param name="source">What an encoder reads, one row; null for a decoder alone.</param>
internal sealed class DecodingSession(LanguageModel model, Device device, int keep = 0, ModelInput? source = null) : IDisposable
{
    private readonly IDecoder decoder = IDecoder.Create(model, device, sequences: 1, model.ContextLength, source);
    // Half a context always has room for the last token, too.
    private readonly int kept = Math.Min(keep, Math.Max(0, model.ContextLength / 2 - 1));
    private int known; // tokens of the text in the last call
    private int left; // of them, those that the decoder no longer holds

    /// <summary>The logits of the token that follows a text.</summary>
    /// <param name="text">What the last call was given and a further token, or in the first call at most a context of them.</param>
    /// <returns>V logits, until the next call.</returns>
    public ReadOnlySpan<float> Next(List<int> text)
    {
        bool begins = known == 0;
        known = text.Count;
        if (begins) return decoder.Begin(text);
        if (known - left <= model.ContextLength) return decoder.Next([text[^1]]);
        // Half a context is made afresh, or the prefix that the model reads together if that is more.
        left = known - Math.Max(model.PrefixLength, model.ContextLength / 2);
        return decoder.Begin([.. text[..kept], .. text[(left + kept)..]]);
    }

    /// <inheritdoc/>
    public void Dispose() => decoder.Dispose();
}
