namespace Trainer.Transformers;

/// <summary>What one part of a model costs, as its options know it.</summary>
/// <param name="Parameters">Learned numbers.</param>
/// <param name="MatrixParameters">Those that every token is multiplied with.</param>
internal readonly record struct PartCost(long Parameters, long MatrixParameters)
{
    /// <summary>Operations of one token beside those with its matrices, however long the sequence is, forward.</summary>
    public long FlopsPerToken { get; init; }

    /// <summary>Those of <see cref="Parameters"/> that a token does not use: experts it was not given to.</summary>
    public long IdleParameters { get; init; }

    /// <summary>Operations of one token for each key it sees, forward.</summary>
    public long FlopsPerTokenAndKey { get; init; }

    /// <summary>Numbers of one token that are kept for the backward pass in float32.</summary>
    public long Activations { get; init; }

    /// <summary>Numbers of one token that are kept beside <see cref="Activations"/>, in the type that matrices are multiplied in.</summary>
    public long RoundedActivations { get; init; }

    /// <summary>Numbers of one token that are kept beside those, unless matrices are multiplied in bfloat16.</summary>
    public long FullActivations { get; init; }

    /// <summary>Numbers of one token that are kept for each key it sees.</summary>
    public long ActivationsPerKey { get; init; }

    /// <summary>Numbers of one token, float32, that its backward pass makes for a moment, beside all that is kept.</summary>
    public long PassingGradients { get; init; }

    /// <summary>Bytes of one token that take their place, for some tokens at a time, where matrices are multiplied in bfloat16 by one kernel; otherwise 0.</summary>
    public long RoundedPassingBytes { get; init; }

    /// <summary>A linear layer; its input and result belong to its neighbours.</summary>
    public static PartCost Linear(long inputs, long outputs, bool bias) =>
        new(inputs * outputs + (bias ? outputs : 0), inputs * outputs);

    public static PartCost operator +(PartCost a, PartCost b) => new(a.Parameters + b.Parameters, a.MatrixParameters + b.MatrixParameters)
    {
        FlopsPerToken = a.FlopsPerToken + b.FlopsPerToken,
        IdleParameters = a.IdleParameters + b.IdleParameters,
        FlopsPerTokenAndKey = a.FlopsPerTokenAndKey + b.FlopsPerTokenAndKey,
        Activations = a.Activations + b.Activations,
        RoundedActivations = a.RoundedActivations + b.RoundedActivations,
        FullActivations = a.FullActivations + b.FullActivations,
        ActivationsPerKey = a.ActivationsPerKey + b.ActivationsPerKey,
        PassingGradients = Math.Max(a.PassingGradients, b.PassingGradients),
        RoundedPassingBytes = Math.Max(a.RoundedPassingBytes, b.RoundedPassingBytes),
    };

    public static PartCost operator *(int times, PartCost part) => new(times * part.Parameters, times * part.MatrixParameters)
    {
        FlopsPerToken = times * part.FlopsPerToken,
        IdleParameters = times * part.IdleParameters,
        FlopsPerTokenAndKey = times * part.FlopsPerTokenAndKey,
        Activations = times * part.Activations,
        RoundedActivations = times * part.RoundedActivations,
        FullActivations = times * part.FullActivations,
        ActivationsPerKey = times * part.ActivationsPerKey,
        PassingGradients = part.PassingGradients,
        RoundedPassingBytes = part.RoundedPassingBytes,
    };
}
