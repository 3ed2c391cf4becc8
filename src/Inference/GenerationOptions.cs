using Trainer.Configuration;

namespace Trainer.Inference;

/// <summary>How much to generate, and how to draw it.</summary>
public sealed record GenerationOptions : IValidated
{
    /// <summary>How many tokens to generate.</summary>
    public int Tokens { get; init; } = 200;

    /// <summary>How each token is drawn.</summary>
    public SamplingOptions Sampling { get; init; } = new();

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Tokens < 1) yield return new("tokens", $"tokens ({Tokens}) must be 1 or more");
        foreach (Problem problem in Sampling.Validate()) yield return problem with { Path = $"sampling.{problem.Path}" };
    }
}
