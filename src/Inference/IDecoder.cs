// Shapes: B sequences, V vocabulary.
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Sequences that grow side by side, a token at a time: the logits of what follows each.</summary>
internal interface IDecoder : IDisposable
{
    /// <summary>Forgets everything, and begins each sequence with the same tokens.</summary>
    /// <param name="prompt">At least one token id.</param>
    /// <returns>Logits (B, V), until the next call; one sequence, or as many as an encoder's source has rows.</returns>
    ReadOnlySpan<float> Begin(IReadOnlyList<int> prompt);

    /// <summary>Adds a token to each sequence.</summary>
    /// <param name="tokens">Token ids (B).</param>
    /// <returns>Logits (B, V), until the next call.</returns>
    ReadOnlySpan<float> Next(scoped ReadOnlySpan<int> tokens);

    /// <summary>Makes each sequence go on from one of the present ones.</summary>
    /// <param name="sequences">The present one that each continues; there may be more or fewer than before.</param>
    void Reorder(IReadOnlyList<int> sequences);

    /// <summary>The fastest decoder of a model.</summary>
    /// <param name="model">In evaluation mode while it decodes.</param>
    /// <param name="device">Where it is.</param>
    /// <param name="sequences">The most that there will be.</param>
    /// <param name="capacity">Positions of the longest.</param>
    /// <param name="source">What an encoder reads; null for a decoder alone.</param>
    static IDecoder Create(LanguageModel model, Device device, int sequences, int capacity, ModelInput? source = null) =>
        sequences <= CpuDecoder.MostSequences && CpuDecoder.Supports(model)
            ? new CpuDecoder(model, sequences, capacity)
            : new ModelDecoder(model, device, capacity, source);
}
