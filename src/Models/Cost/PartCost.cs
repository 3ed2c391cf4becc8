namespace Trainer.Models;

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

    /// <summary>A linear layer.</summary>
    public static PartCost Linear(long inputs, long outputs, bool bias) =>
        new(inputs * outputs + (bias ? outputs : 0), inputs * outputs);

    public static PartCost operator +(PartCost a, PartCost b) => new(a.Parameters + b.Parameters, a.MatrixParameters + b.MatrixParameters)
    {
        FlopsPerToken = a.FlopsPerToken + b.FlopsPerToken,
        IdleParameters = a.IdleParameters + b.IdleParameters,
        FlopsPerTokenAndKey = a.FlopsPerTokenAndKey + b.FlopsPerTokenAndKey,
    };

    public static PartCost operator *(int times, PartCost part) => new(times * part.Parameters, times * part.MatrixParameters)
    {
        FlopsPerToken = times * part.FlopsPerToken,
        IdleParameters = times * part.IdleParameters,
        FlopsPerTokenAndKey = times * part.FlopsPerTokenAndKey,
    };
}
