using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;

namespace Trainer.Training.Preferences;

/// <summary>How a model learns from answers that were chosen and rejected. A new way is one file with its record and loss, and one
/// <see cref="JsonDerivedTypeAttribute"/> line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(DpoOptions), "dpo")]
[JsonDerivedType(typeof(IpoOptions), "ipo")]
[JsonDerivedType(typeof(KtoOptions), "kto")]
[JsonDerivedType(typeof(OrpoOptions), "orpo")]
public abstract record PreferenceOptions
{
    /// <summary>The <c>type</c> in recipes.</summary>
    internal abstract string Type { get; }

    /// <summary>Whether answers that were judged alone can be learned from.</summary>
    internal virtual bool TakesSingleAnswers => false;

    /// <summary>The model that probabilities are compared with; null for that of <c>initialize.from</c>.</summary>
    internal virtual string? ReferenceModel => null;

    /// <summary>Whether there is such a model.</summary>
    internal virtual bool HasReference => true;

    /// <summary>Whether its probabilities of other texts than the answers are needed, so that it stays in memory.</summary>
    internal virtual bool KeepsReference => false;

    /// <summary>Problems that show with the rest of the recipe.</summary>
    internal IEnumerable<Problem> ValidateFor(Recipe recipe)
    {
        if (!recipe.Data.HasPreferences)
            yield return new("preference", "learns from answers that were chosen and rejected, and data.train has none; set the format " +
                "of the sources to \"preferences\", or leave preference out");
        if (HasReference && ReferenceModel is null && recipe.Initialize is null)
            yield return new("preference.reference", $"is missing, and '{Type}' compares probabilities with those of a model; name its " +
                "checkpoint, or set initialize.from, which it begins with");
        if (HasReference && ReferenceModel is null && recipe.Initialize?.Convert is not null)
            yield return new("preference.reference", $"is that of initialize.from, which initialize.convert changes, and '{Type}' would " +
                "begin far from it; write a converted checkpoint by convert --key-value-heads first, and name that one in both");
        if (recipe.Initialize is null && !HasReference)
            yield return new("initialize", $"is missing; '{Type}' teaches a trained model what to prefer: set initialize.from to its " +
                "checkpoint");
        int smallest = (recipe.Training.Stages ?? []).Select(stage => stage.BatchSize).Append(recipe.Training.BatchSize).Min()!.Value;
        if (KeepsReference && smallest < 2)
            yield return new("training.batchSize", $"is {smallest} in the run or a stage of it, and '{Type}' estimates how far the " +
                "model is from its reference on prompts with the answers of others; set it to 2 or more");
        if (recipe.Distillation is not null)
            yield return new("distillation", "learns from a teacher's probabilities, and preference from answers; leave one of them out");
        if (recipe.Training.LabelSmoothing > 0)
            yield return new("training.labelSmoothing", "is of the cross entropy of tokens, which preference does not minimise; set it " +
                "to 0" + (this is DpoOptions ? ", or use preference.labelSmoothing" : ""));
    }

    /// <summary>Checks that every answer has another to be compared with, where the method compares two.</summary>
    /// <exception cref="UserException">One was judged alone.</exception>
    internal void RequirePairs(PreparedData data)
    {
        if (TakesSingleAnswers) return;
        foreach (TokenShard shard in new[] { data.Train, data.Validation })
            if (PreferenceBatches.FirstSingle(shard) is { } pair)
                throw new UserException($"{shard.Name}, record {pair + 1:N0}: it has one answer with a label, and preference.type " +
                    $"'{Type}' compares a chosen one with a rejected one; use type 'kto', or give records with chosen and rejected");
    }

    /// <summary>The loss; <paramref name="reference"/> is null where <see cref="HasReference"/> is not.</summary>
    internal abstract PreferenceLoss Build(ReferenceModel? reference);
}

/// <summary>A method that compares with a model that stays as it is.</summary>
public abstract record ReferencedPreferenceOptions : PreferenceOptions
{
    /// <summary>A checkpoint, or a run directory; null for that of <c>initialize.from</c>.</summary>
    [Description("A checkpoint or run directory of the model that probabilities are compared with; when absent, that of initialize.from.")]
    public string? Reference { get; init; }

    /// <summary>β: how far the model may leave the reference; the smaller, the farther.</summary>
    [Description("How strongly the model is held to the reference: 0.01 to 0.5; the smaller, the farther it goes.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double Beta { get; init; } = 0.1;

    internal override string? ReferenceModel => Reference;
}
