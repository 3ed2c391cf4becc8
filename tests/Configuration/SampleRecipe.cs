using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;

namespace Trainer.Configuration.Tests;

/// <summary>A recipe shaped like the real one, with every kind of property.</summary>
public sealed record SampleRecipe
{
    [Description("The name of the run.")]
    public required string Name { get; init; }

    [Description("Seeds every generator.")]
    public long Seed { get; init; } = 1337;

    [Description("The model.")]
    public SampleModel Model { get; init; } = new SampleDecoder();

    [Description("What to read.")]
    public SampleData Data { get; init; } = new();

    [Description("The loop.")]
    public SampleTraining Training { get; init; } = new();

    [Description("The optimizer.")]
    public SampleOptimizer Optimizer { get; init; } = new SampleAdam();
}

[JsonPolymorphic(TypeDiscriminatorPropertyName = "architecture")]
[JsonDerivedType(typeof(SampleDecoder), "decoder")]
[JsonDerivedType(typeof(SampleEncoder), "encoder")]
public abstract record SampleModel
{
    [Description("Layers.")]
    [Range(1, int.MaxValue)]
    public int Layers { get; init; } = 6;
}

public sealed record SampleDecoder : SampleModel
{
    [Description("The attention.")]
    public SampleAttention Attention { get; init; } = new();

    [Description("How order enters.")]
    public SamplePosition Position { get; init; } = new SampleRotary { Theta = 5000 };
}

public sealed record SampleEncoder : SampleModel;

public sealed record SampleAttention : IValidated
{
    [Description("Heads.")]
    [Range(1, 64)]
    public int Heads { get; init; } = 6;

    [Description("Heads of keys and values; as many as heads if null.")]
    public int? KeyValueHeads { get; init; }

    public int Groups => Heads / (KeyValueHeads ?? Heads);

    public IEnumerable<Problem> Validate()
    {
        if (KeyValueHeads is { } kv && Heads % kv != 0)
            yield return new Problem("heads", $"heads ({Heads}) must be a multiple of keyValueHeads ({kv})");
    }
}

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(SampleNoPosition), "none")]
[JsonDerivedType(typeof(SampleRotary), "rotary")]
[JsonDerivedType(typeof(SampleLearned), "learned")]
public abstract record SamplePosition;

public sealed record SampleNoPosition : SamplePosition;

public sealed record SampleRotary : SamplePosition
{
    [Description("The base of the wavelengths.")]
    [Range(1.0, double.PositiveInfinity, MinimumIsExclusive = true)]
    public double Theta { get; init; } = 10000;

    [Description("Context extension.")]
    public SampleScaling? Scaling { get; init; }
}

public sealed record SampleLearned : SamplePosition
{
    [Description("A number here, a record in rotary.")]
    public double Scaling { get; init; } = 1;
}

public sealed record SampleScaling
{
    [Description("How far.")]
    public required double Factor { get; init; }
}

public sealed record SampleData
{
    [Description("Files to train on.")]
    [MinLength(1)]
    public IReadOnlyList<SampleSource> Train { get; init; } = [];

    [Description("Files to validate on.")]
    public IReadOnlyList<SampleSource>? Validation { get; init; }

    [Description("Weights by language.")]
    public IReadOnlyDictionary<string, double> Weights { get; init; } = new Dictionary<string, double>();
}

public sealed record SampleSource
{
    [Description("The file.")]
    public required string Path { get; init; }

    [Description("Its format.")]
    public SampleFormat Format { get; init; }
}

public enum SampleFormat
{
    Text,

    [JsonStringEnumMemberName("dotnet-docs")]
    DotnetDocs,

    JsonLines,
}

public sealed record SampleTraining
{
    [Description("Optimizer steps.")]
    [Range(1, int.MaxValue)]
    public int Steps { get; init; } = 5000;

    [Description("The device.")]
    [AllowedValues("auto", "cpu", "cuda")]
    public string Device { get; init; } = "auto";

    [Description("Exactly repeatable.")]
    public bool Deterministic { get; init; } = true;

    [Description("A share.")]
    [Range(0, 1)]
    public double Share { get; init; } = 0.1;

    [Description("Prompts.")]
    public IReadOnlyList<string> Samples { get; init; } = [];

    [Description("A note.")]
    public string? Note { get; init; }
}

[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(SampleAdam), "adamw")]
[JsonDerivedType(typeof(SampleSgd), "sgd")]
public abstract record SampleOptimizer
{
    [Description("The learning rate.")]
    public double LearningRate { get; init; } = 1e-3;
}

public sealed record SampleAdam : SampleOptimizer
{
    [Description("Decay rates.")]
    [Length(2, 2)]
    [Range(0.0, 1.0, MaximumIsExclusive = true)]
    public IReadOnlyList<double> Betas { get; init; } = [0.9, 0.95];
}

public sealed record SampleSgd : SampleOptimizer
{
    [Description("Momentum.")]
    public double Momentum { get; init; }
}
