namespace Trainer.Models;

/// <summary>The cost of one part of a model; <c>MatrixParameters</c> are those every token is multiplied with.</summary>
internal readonly record struct PartCost(long Parameters, long MatrixParameters)
{
    public long FlopsPerToken { get; init; } // beside products with its matrices, forward

    public long IdleParameters { get; init; }

    public long FlopsPerTokenAndKey { get; init; } // for each key that a token sees, forward

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
