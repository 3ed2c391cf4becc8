namespace Trainer.Kernels;

/// <summary>What becomes of logits on the way to their cross entropy.</summary>
public readonly record struct CrossEntropyShape()
{
    /// <summary>Logits are multiplied with it.</summary>
    public double LogitScale { get; init; } = 1;

    /// <summary>Then a logit z becomes cap·tanh(z / cap), above 0; null to leave it.</summary>
    public double? LogitSoftCap { get; init; }

    /// <summary>The share of each target's probability that is spread over all tokens (Szegedy et al. 2016); 0 for none.</summary>
    public double LabelSmoothing { get; init; }
}
