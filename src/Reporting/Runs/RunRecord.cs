using System.Text.Json.Nodes;

namespace Trainer.Reporting;

/// <summary>A file of figures that lies in a run directory, to be shown as a table.</summary>
/// <param name="Name">The file's name without its extension.</param>
/// <param name="Content">What it says.</param>
internal sealed record FigureFile(string Name, JsonObject Content);

/// <summary>What a model said.</summary>
/// <param name="Prompt">What it was given; empty where that is not known.</param>
/// <param name="Text">What it added.</param>
internal sealed record SampleText(string Prompt, string Text);

/// <summary>What a model said after a step.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Texts">One for every prompt.</param>
internal sealed record SampleSet(long Step, IReadOnlyList<SampleText> Texts);

/// <summary>All that a report shows of one run directory.</summary>
internal sealed record RunRecord
{
    /// <summary>The directory, as it was given.</summary>
    public required string Directory { get; init; }

    /// <summary>The resolved configuration as it was saved, not bound: a report of an old run must not fail because a name changed. Null if there is none.</summary>
    public required JsonObject? Configuration { get; init; }

    /// <summary>The curves.</summary>
    public required RunMetrics Metrics { get; init; }

    /// <summary>Samples, ascending by step.</summary>
    public required IReadOnlyList<SampleSet> Samples { get; init; }

    /// <summary>Files that <c>evaluate --json</c> wrote.</summary>
    public required IReadOnlyList<FigureFile> Evaluations { get; init; }

    /// <summary>Tables of studies.</summary>
    public required IReadOnlyList<FigureFile> Studies { get; init; }

    /// <summary>Attention maps that <c>attention --json</c> wrote.</summary>
    public required IReadOnlyList<FigureFile> Attention { get; init; }

    /// <summary>Learned numbers, from the best or newest checkpoint; null where there is none.</summary>
    public required long? Parameters { get; init; }

    /// <summary>Whether there is nothing to show.</summary>
    public bool IsEmpty => Metrics.IsEmpty && Samples.Count == 0 && Evaluations.Count == 0 && Studies.Count == 0 && Attention.Count == 0;
}
