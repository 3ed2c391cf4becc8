// Shapes: B sequences, T tokens, V vocabulary.
using TorchSharp;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

internal interface IDecoder : IDisposable
{
    /// <summary>Starts afresh, every sequence with the same prompt; returns logits (B, V), valid until the next call.</summary>
    ReadOnlySpan<float> Begin(IReadOnlyList<int> prompt);

    /// <summary>Adds a token to each of the B sequences; returns logits (B, V), valid until the next call.</summary>
    ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens);

    /// <summary>Makes each new sequence continue one of the present ones; their number may change.</summary>
    void Reorder(IReadOnlyList<int> sequences);

    /// <summary>The fastest decoder for a model, which is in evaluation mode.</summary>
    static IDecoder Create(LanguageModel model, Device device, int sequences, int capacity, ModelInput? source = null) =>
        sequences <= CpuDecoder.MaxSequences && CpuDecoder.Supports(model)
            ? new CpuDecoder(model, sequences, capacity)
            : new ModelDecoder(model, device, capacity, source);
}

internal sealed class ModelDecoder(LanguageModel model, Device device, int capacity, ModelInput? source) : IDecoder
{
    private DecodingState? state;
    private float[] logits = [];

    public ReadOnlySpan<float> Begin(IReadOnlyList<int> prompt)
    {
        state?.Dispose();
        int sequences = source is null ? 1 : (int)source.Tokens.size(0);
        using (inference_mode()) state = model.NewDecodingState(sequences, capacity, source);
        return Add([.. Enumerable.Repeat(prompt, sequences).SelectMany(ids => ids)]);
    }

    public ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens) => Add(tokens);

    public void Reorder(IReadOnlyList<int> sequences) => state!.Reorder(sequences);

    public void Dispose() => state?.Dispose();

    private ReadOnlySpan<float> Add(scoped ReadOnlySpan<int> tokens)
    {
        using IDisposable inference = inference_mode();
        return state!.Add(tokens, model, device, ref logits);
    }
}

internal static class DecodingSteps
{
    /// <summary>Adds tokens (B, T), row by row, to a state; returns the last ones' logits (B, V), which are copied to a buffer that grows as
    /// needed.</summary>
    public static ReadOnlySpan<float> Add(
        this DecodingState state, scoped ReadOnlySpan<int> tokens, LanguageModel model, Device device, ref float[] logits)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor input = tensor(tokens.ToArray(), [state.Batch, tokens.Length / state.Batch]).to(ScalarType.Int64).to(device); // (B, T)
        Tensor next = model.NextLogits(input, state).to(ScalarType.Float32).cpu().contiguous(); // (B, V)
        if (logits.Length < next.numel()) logits = new float[next.numel()];
        next.data<float>().CopyTo(logits);
        return logits.AsSpan(0, (int)next.numel());
    }
}
