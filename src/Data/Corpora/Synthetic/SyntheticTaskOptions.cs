using System.Text.Json.Serialization;

namespace Trainer.Data;

/// <summary>What the examples of format synthetic ask for. Each kind draws its own.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CopyTaskOptions), "copy")]
[JsonDerivedType(typeof(SelectiveCopyTaskOptions), "selective-copy")]
[JsonDerivedType(typeof(AssociativeRecallTaskOptions), "associative-recall")]
[JsonDerivedType(typeof(LatestValueTaskOptions), "latest-value")]
[JsonDerivedType(typeof(NeedleTaskOptions), "needle")]
public abstract record SyntheticTaskOptions
{
    /// <summary>What stands between what is given and what is asked.</summary>
    private protected const char Separator = '|';

    /// <summary>Draws an example.</summary>
    /// <param name="random">What it is drawn from; the same numbers give the same example.</param>
    internal abstract SyntheticExample Draw(ref RandomSequence random);
}
