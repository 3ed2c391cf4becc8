using Trainer.Configuration;
using Trainer.Distributed;
using Trainer.Training.Distribution;
using Trainer.Training.Experiments;

namespace Trainer.Training.Spikes;

/// <summary>Which step to look at: one of a run, whose directory is only read. Prepared data is in <c>DatasetsDirectory</c>.</summary>
public sealed record StepReplayRequest(
    string Run, long Step, string DatasetsDirectory = TrainingRequest.DefaultDatasetsDirectory)
{
    /// <summary>The processes that compute the step together, each with the same request; null for this one alone. All get the report.
    /// One that fails has to call <see cref="IProcessGroup.Abort"/>.</summary>
    public IProcessGroup? Processes { get; init; }
}

/// <summary>Runs one step of a run again, with measuring: the newest checkpoint before it is restored, the steps between are taken as they
/// were, and the step is computed, but not taken.</summary>
public static class StepReplay
{
    /// <summary>Looks at a step; messages go to <paramref name="progress"/>.</summary>
    /// <exception cref="UserException">There is no such run or step, or its data changed.</exception>
    public static StepReport Run(StepReplayRequest request, IProgress<string> progress)
    {
        RecordedRun run = RecordedRun.Open(request.Run);
        Recipe recipe = run.RecipeAfter(request.Step - 1);
        if (request.Step < 1 || request.Step > recipe.Training.Steps)
            throw new UserException($"{request.Run}: there is no step {request.Step}; its run has steps 1 to {recipe.Training.Steps}");
        Ranks ranks = new(request.Processes ?? new SingleProcess(), progress);
        ResumePoint? from = ResumePoint.FromFirst(ranks, () => run.CheckpointAtOrBefore(request.Step - 1));
        ranks.Report(from is null
            ? $"from the run's beginning, for no checkpoint before step {request.Step} is kept"
            : $"from {from.Directory}");
        using Replay replay = Replay.Begin(recipe, from, request.DatasetsDirectory, progress, ranks.Group);
        replay.AdvanceTo(request.Step - 1);
        (StepFigures.Reading reading, Spike? spike, StepMeasurement measured) = replay.State.ExamineNextStep();
        string? skipped = spike is not null ? "spike" : reading.InARow > 0 ? "not finite" : null;
        StepRecord Describe() => SkipRecorder.Describe(request.Step, reading, spike, skipped, measured,
            TrainingSession.DocumentsOf(recipe, replay.Data, request.DatasetsDirectory));
        // The first looks for the documents.
        return new(ranks.Group.Size == 1 ? Describe() : StepRecord.FromJson(ranks.FromFirst(() => Describe().ToJson())!));
    }
}

/// <summary>A step looked at closely.</summary>
public sealed class StepReport
{
    private const int Shown = 8;

    private readonly StepRecord record;

    internal StepReport(StepRecord record) => this.record = record;

    /// <summary>All of it, as the files of skipped steps have it.</summary>
    public string Json => record.ToJson();

    /// <summary>The table of layers, the largest gradients of parameters, and the worst rows with their documents, for people.</summary>
    public IEnumerable<string> Lines =>
    [
        $"step {record.Step}: loss {Figures.Of(record.Loss)}, gradient norm {Figures.Of(record.GradientNorm)}" +
            (record.Skipped is null ? "" : $"; it was skipped: {record.Skipped}"),
        .. SkipRecorder.Findings(record).Select(finding => $"  {finding}"),
        "",
        $"{"",-NameWidth}{"activations",33}{"gradients",35}",
        $"{"layer",-NameWidth}{"norm",11}{"largest",11}{"not finite",11}  {"norm",11}{"largest",11}{"not finite",11}",
        .. record.Layers.Select(layer => $"{layer.Name,-NameWidth}{Row(layer.Activations)}  {Row(layer.Gradients)}"),
        "",
        .. Parameters([.. record.WorstParameters.Take(Shown)]),
        .. Rest(record.Parameters.Count, "parameters with smaller gradients"),
        "",
        $"{"row",5}{"loss",10}  documents",
        .. record.Rows.Take(Shown).SelectMany(Rows),
        .. Rest(record.Rows.Count, "rows with lower losses"),
    ];

    private const int NameWidth = 30;

    private static IEnumerable<string> Parameters(IReadOnlyList<ParameterRecord> shown)
    {
        int width = shown.Select(parameter => parameter.Name.Length + 2).Append(NameWidth).Max();
        yield return $"{"parameter".PadRight(width)}{"gradient",11}{"largest",11}{"not finite",11}";
        foreach (ParameterRecord parameter in shown) yield return $"{parameter.Name.PadRight(width)}{Row(parameter.Gradient)}";
    }

    private static IEnumerable<string> Rest(int count, string what) =>
        count > Shown ? [$"and {count - Shown} {what} (--json has them)"] : [];

    private static string Row(TensorFigures figures) =>
        $"{Figures.Of(figures.Norm),11}{Figures.Of(figures.Largest),11}{figures.NonFinite,11:N0}";

    private static IEnumerable<string> Rows(RowRecord row)
    {
        string first = $"{row.Row,5}{(row.Loss is { } loss ? Figures.Of(loss) : "-"),10}  ", next = new(' ', first.Length);
        if (row.Documents.Count == 0) yield return first;
        foreach ((int index, DocumentRecord document) in row.Documents.OrderByDescending(d => StepRecord.Badness(d.Loss)).Index())
        {
            string place = document.Place?.ToString() ?? $"document {document.Document}";
            string scored = document.Loss is { } own ? $"loss {Figures.Of(own)}" : "read only";
            string text = document.Place is { Text: var begins } ? $": {Figures.Printable(begins)}" : "";
            yield return $"{(index == 0 ? first : next)}{place} ({document.Tokens} tokens, {scored}){text}";
        }
    }
}
