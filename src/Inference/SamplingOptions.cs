using Trainer.Configuration;

namespace Trainer.Inference;

/// <summary>How the next token is drawn from the model's distribution.</summary>
/// <remarks>Applied in this order: temperature, top-k, top-p, as in the common tools; each one only narrows what the
/// one before it left.</remarks>
public sealed record SamplingOptions : IValidated
{
    /// <summary>Divides the logits before the softmax: below 1 sharper, above 1 flatter. 0 is the same as <see cref="Greedy"/>.</summary>
    public double Temperature { get; init; } = 1.0;

    /// <summary>Only the k most likely tokens may be drawn; <c>null</c> for all.</summary>
    public int? TopK { get; init; }

    /// <summary>Only the smallest set of most likely tokens whose probabilities sum to at least p may be drawn
    /// (nucleus sampling, Holtzman et al. 2019, arXiv 1904.09751); <c>null</c> for all.</summary>
    public double? TopP { get; init; }

    /// <summary>Always take the most likely token; the other settings then play no part.</summary>
    public bool Greedy { get; init; }

    /// <summary>Seed of the sampler's own random numbers: the same seed gives the same text.</summary>
    public long Seed { get; init; } = 1337;

    /// <summary>Whether the most likely token is always taken.</summary>
    internal bool IsGreedy => Greedy || Temperature == 0;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (!double.IsFinite(Temperature) || Temperature < 0)
            yield return new("temperature", $"temperature ({Temperature}) must be 0 or more; 1 leaves the model's distribution as it is");
        if (TopK < 1)
            yield return new("topK", $"topK ({TopK}) must be 1 or more; leave it out to allow every token");
        if (TopP is { } p && (double.IsNaN(p) || p <= 0 || p > 1))
            yield return new("topP", $"topP ({p}) must be above 0 and at most 1; leave it out to allow every token");
    }
}
