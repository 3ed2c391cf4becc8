// Shapes: B sequences, T tokens, V vocabulary.
using TorchSharp;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Decodes with the model itself: every architecture on every device.</summary>
/// <param name="model">The model.</param>
/// <param name="device">Where it is.</param>
/// <param name="capacity">Positions of the longest sequence.</param>
/// <param name="source">What an encoder reads, a row for each sequence; null for a decoder alone, which begins with one.</param>
internal sealed class ModelDecoder(LanguageModel model, Device device, int capacity, ModelInput? source) : IDecoder
{
    private DecodingState? state;
    private float[] logits = [];

    /// <inheritdoc/>
    public ReadOnlySpan<float> Begin(IReadOnlyList<int> prompt)
    {
        state?.Dispose();
        int sequences = source is null ? 1 : (int)source.Tokens.size(0);
        using (inference_mode()) state = model.NewDecodingState(sequences, capacity, source);
        return Add([.. Enumerable.Repeat(prompt, sequences).SelectMany(ids => ids)]);
    }

    /// <inheritdoc/>
    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens) => Add(tokens);

    /// <inheritdoc/>
    public void Reorder(IReadOnlyList<int> sequences) => state!.Reorder(sequences);

    /// <inheritdoc/>
    public void Dispose() => state?.Dispose();

    private ReadOnlySpan<float> Add(scoped ReadOnlySpan<int> tokens)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        Tensor input = tensor(tokens.ToArray(), [state!.Batch, tokens.Length / state.Batch]).to(ScalarType.Int64).to(device); // (B, T)
        Tensor next = model.NextLogits(input, state).to(ScalarType.Float32).cpu().contiguous(); // (B, V)
        if (logits.Length < next.numel()) logits = new float[next.numel()];
        next.data<float>().CopyTo(logits);
        return logits.AsSpan(0, (int)next.numel());
    }
}
