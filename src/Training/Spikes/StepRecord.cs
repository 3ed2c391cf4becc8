using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Data.Preparation;
using Trainer.Models;

namespace Trainer.Training.Spikes;

/// <summary>A step looked at closely, as a file: what a skipped step leaves, and what <c>replay</c> shows.</summary>
internal sealed record StepRecord
{
    public required long Step { get; init; }

    /// <summary><c>spike</c> or <c>not finite</c>; null for a step that was taken.</summary>
    public required string? Skipped { get; init; }

    /// <summary>In nats per token.</summary>
    public required double Loss { get; init; }

    /// <summary>Before clipping.</summary>
    public required double GradientNorm { get; init; }

    public required SpikeRecord? Spike { get; init; }

    /// <summary>Where numbers first leave their range; null where none do.</summary>
    public required OutOfRange? OutOfRange { get; init; }

    /// <summary>By their losses, the highest first.</summary>
    public required IReadOnlyList<RowRecord> Rows { get; init; }

    /// <summary>In the order they run in.</summary>
    public required IReadOnlyList<LayerRecord> Layers { get; init; }

    /// <summary>Parameters that have a gradient, in the model's order.</summary>
    public required IReadOnlyList<ParameterRecord> Parameters { get; init; }

    /// <summary>Why documents are not named; null where they are.</summary>
    public string? Unlocated { get; init; }

    /// <summary>The worst document of the worst row.</summary>
    [JsonIgnore]
    public DocumentRecord? Worst => Rows is [var row, ..] ? row.Worst : null;

    /// <summary>Parameters by their gradients: those that have most numbers that are not finite first, then the largest norms.</summary>
    [JsonIgnore]
    public IEnumerable<ParameterRecord> WorstParameters =>
        Parameters.OrderByDescending(parameter => (parameter.Gradient.NonFinite, parameter.Gradient.Norm));

    public static double Badness(double? loss) => loss switch
    {
        null => double.NegativeInfinity,
        double.NaN => double.PositiveInfinity,
        { } value => value,
    };

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
    };

    public string ToJson() => JsonSerializer.Serialize(this, Format);

    public static StepRecord FromJson(string json) => JsonSerializer.Deserialize<StepRecord>(json, Format)!;
}

/// <summary>The figure that made a step a spike, and mean and deviation of so many steps before it.</summary>
internal sealed record SpikeRecord(string Figure, double Value, double Mean, double Deviation, int Steps)
{
    public static SpikeRecord? Of(Spike? spike) =>
        spike is null ? null : new(spike.Figure, spike.Value, spike.Mean, spike.Deviation, spike.Steps);
}

/// <summary>A row, from 0 in its step.</summary>
internal sealed record RowRecord(int Row, double? Loss, int Targets, IReadOnlyList<DocumentRecord> Documents)
{
    /// <summary>The document with the highest loss in it: what is not finite is worst. null where a row has no documents.</summary>
    [JsonIgnore]
    public DocumentRecord? Worst => Documents.MaxBy(document => StepRecord.Badness(document.Loss));
}

/// <summary>The part of a row that is of one document, and its place; <c>Place</c> is null where it was not found.</summary>
internal sealed record DocumentRecord(long Document, int Tokens, double? Loss, TokenPlace? Place);

/// <summary>The outputs of a part of the model, all rows together, and their gradients.</summary>
internal sealed record LayerRecord(string Name, LayerKind Kind, TensorFigures Activations, TensorFigures Gradients)
{
    public static LayerRecord Of(LayerMeasurement layer) =>
        new(layer.Name, layer.Kind, TensorFigures.Of([.. layer.Activations]), TensorFigures.Of([.. layer.Gradients]));
}
