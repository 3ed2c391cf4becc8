using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>What a model is trained and measured on: the section <c>data</c> of a recipe.</summary>
public sealed record DataOptions : IValidated
{
    /// <summary>The texts to train on, read one after the other in this order.</summary>
    [Description("The texts to train on, read one after the other in this order; at least one.")]
    public required IReadOnlyList<SourceOptions> Train { get; init; }

    /// <summary>The texts to validate on; when absent, the end of the training texts is held out instead.</summary>
    [Description("The texts to validate on. When absent, the last part of the training texts is held out (see validationFraction).")]
    public IReadOnlyList<SourceOptions>? Validation { get; init; }

    /// <summary>The share of the training characters, counted from their end, that is held out when <see cref="Validation"/> is absent.</summary>
    /// <remarks>Training keeps the first ⌊(1 − fraction) · characters⌋ characters, as nanoGPT does.</remarks>
    [Description("The share of the training texts' characters, taken from their end, that is held out for validation when data.validation is absent.")]
    [Range(0.0001, 0.9999)]
    public double ValidationFraction { get; init; } = 0.1;

    /// <summary>What the model learns to predict.</summary>
    [Description("What the model learns to predict: causal = the next token.")]
    public DataObjective Objective { get; init; } = DataObjective.Causal;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Train is not { Count: > 0 })
            yield return new Problem("train", "is an empty list; name at least one text, such as [{\"path\": \"my.txt\"}] or [{\"format\": \"dotnet-docs\"}]");
        if (Validation is { Count: 0 })
            yield return new Problem("validation", "is an empty list; name at least one text, or leave it out to hold out the end of data.train");
    }
}
