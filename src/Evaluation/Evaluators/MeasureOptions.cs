using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Evaluation.Evaluators;

/// <summary>Something that a model is measured on while it is trained: an entry of <c>evaluation.measures</c>.</summary>
/// <remarks>Each kind runs the class of <c>Trainer.Evaluation</c> that <c>evaluate</c> runs, on the same data, so that both tell the same figures of
/// the same weights. A new kind is one file, and one <see cref="JsonDerivedTypeAttribute"/> line here.</remarks>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PerplexityMeasureOptions), "perplexity")]
[JsonDerivedType(typeof(AccuracyMeasureOptions), "accuracy")]
[JsonDerivedType(typeof(TranslationMeasureOptions), "translation")]
[JsonDerivedType(typeof(PasskeyMeasureOptions), "passkey")]
[JsonDerivedType(typeof(SampleMeasureOptions), "samples")]
public abstract record MeasureOptions : IValidated
{
    /// <summary>What the measure is called in TensorBoard and in reports; null for its type.</summary>
    [Description("What the measure is called in TensorBoard (evaluation/<name>/…) and in reports; null: its type. Two measures of one type need different names.")]
    public string? Name { get; init; }

    /// <summary>Steps between two measurements; 0: only after the last step; null: with every evaluation.</summary>
    [Description("Steps between two measurements; 0: only after the last step; null: as often as evaluation.every says. After the last step in any case.")]
    [Range(0, long.MaxValue)]
    public long? Every { get; init; }

    /// <summary>The type's name, which the measure has when it is given no other.</summary>
    internal abstract string Kind { get; }

    /// <summary>What the measure is called.</summary>
    internal string Title => Name ?? Kind;

    /// <inheritdoc/>
    public virtual IEnumerable<Problem> Validate()
    {
        if (Name is not null && RunName.Complaint(Name) is not null)
            yield return new("name", $"'{Name}' must be made of letters, digits, '-', '_' and '.', for it names curves");
    }

    /// <summary>Rules that need the model and the data of the recipe.</summary>
    /// <returns>Problems with paths relative to this record.</returns>
    internal abstract IEnumerable<Problem> ValidateFor(ModelOptions model, DataOptions data);

    /// <summary>Makes the measure for a run.</summary>
    internal abstract Measure Build(MeasureSubject subject);
}
