using System.Globalization;

namespace Trainer.Reporting.Monitoring;

/// <summary>What a measure of <c>evaluation.measures</c> found.</summary>
public sealed record MeasureMetrics
{
    /// <summary>Optimizer steps done when the model was measured.</summary>
    public required long Step { get; init; }

    /// <summary>What the measure is called.</summary>
    public required string Name { get; init; }

    /// <summary>The figures, each with what it depends on.</summary>
    public required IReadOnlyList<MeasureFigure> Figures { get; init; }

    /// <summary>The figures for people.</summary>
    public IReadOnlyList<string> Lines { get; init; } = [];

    /// <summary>Texts that the model wrote.</summary>
    public IReadOnlyList<MeasureText> Texts { get; init; } = [];

    /// <summary>How long measuring took, in seconds.</summary>
    public required double Seconds { get; init; }
}

/// <summary>One figure of a measure.</summary>
/// <param name="Name">What it is, such as <c>perplexity</c>.</param>
/// <param name="Value">Its value.</param>
/// <param name="Condition">What it depends on, such as <c>window256-stride64</c>; null for nothing but the data.</param>
/// <param name="Place">Where it was measured: a position in the window, a depth in the prompt; null for a figure of the whole.</param>
public sealed record MeasureFigure(string Name, double Value, string? Condition = null, double? Place = null)
{
    /// <summary>Name, condition and place with slashes between: the end of its tag in TensorBoard, and its key in metrics.jsonl.</summary>
    public string Key => string.Join('/', new[] { Name, Condition, Place?.ToString(CultureInfo.InvariantCulture) }.OfType<string>());
}

/// <summary>A text that a model wrote.</summary>
/// <param name="Prompt">What it was given.</param>
/// <param name="Text">What it added.</param>
public sealed record MeasureText(string Prompt, string Text);
