using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Reporting.Monitoring;

namespace Trainer.Training.Spikes;

/// <summary>Writes down what a skipped step was: its rows and documents, what each layer made of them, and what gradients of the
/// parameters came of it. A skipped step changed no weight, so that it can be run once more, with measuring, and costs nothing before.
/// </summary>
/// <param name="state">Runs the step again; on all ranks.</param>
/// <param name="documents">Finds where tokens come from; null where rows are no tokens.</param>
/// <param name="folder">Gets a file for each step; null on all ranks but the first.</param>
/// <param name="log">Gets a line for each.</param>
internal sealed class SkipRecorder(TrainState state, DocumentLocator? documents, string? folder, Action<string> log)
{
    /// <summary>Records that are kept, the newest.</summary>
    public const int Kept = 100;

    /// <summary>Records the last step, which was skipped.</summary>
    public void Record(StepFigures.Reading reading, Spike? spike)
    {
        StepMeasurement measured = state.MeasureLastStep();
        if (folder is null) return;
        StepRecord record = Describe(state.Step, reading, spike, spike is null ? "not finite" : "spike", measured, documents);
        string path = Path.Combine(folder, $"step-{state.Step:D8}.json");
        Directory.CreateDirectory(folder);
        DurableFile.Replace(path, record.ToJson() + "\n");
        foreach (string old in Directory.GetFiles(folder, "step-*.json").Order(StringComparer.Ordinal).SkipLast(Kept)) File.Delete(old);
        log($"step {state.Step}: {string.Join("; ", Findings(record))}; see {path}");
    }

    /// <summary>Names the documents of a measured step.</summary>
    public static StepRecord Describe(
        long step, StepFigures.Reading reading, Spike? spike, string? skipped, StepMeasurement measured, DocumentLocator? documents)
    {
        DocumentSpan[] spans = [.. measured.Rows.SelectMany(row => row.Documents).Select(document => document.Span)];
        Queue<TokenPlace?> places;
        string? unlocated = null;
        try
        {
            places = new(documents?.Locate(spans) ?? []);
        }
        catch (UserException error)
        {
            (places, unlocated) = (new(spans.Select(_ => (TokenPlace?)null)), error.Message);
        }

        RowRecord[] rows = [.. measured.Rows.Select(row => new RowRecord(
            row.Row, row.Loss, row.Targets,
            [.. row.Documents.Select(document => new DocumentRecord(
                document.Span.Document, document.Span.Tokens.Length, document.Loss, places.Dequeue()))]))];
        return new()
        {
            Step = step,
            Skipped = skipped,
            Loss = reading.Loss,
            GradientNorm = reading.GradientNorm,
            Spike = SpikeRecord.Of(spike),
            OutOfRange = OutOfRange.Find(measured),
            Rows = [.. rows.OrderByDescending(row => StepRecord.Badness(row.Loss))],
            Layers = [.. measured.Layers.Select(LayerRecord.Of)],
            Parameters = measured.Parameters,
            Unlocated = unlocated,
        };
    }

    /// <summary>What a person wants to know first.</summary>
    public static IEnumerable<string> Findings(StepRecord record)
    {
        RowRecord row = record.Rows[0];
        yield return $"row {row.Row} has the highest loss ({Loss(row.Loss)}){Document(row)}";
        if (record.OutOfRange is { } place)
            yield return $"numbers first leave their range in {place.Layer} ({place.Pass}), {Rows(place, record)}: {place.Why}";
        if (record.WorstParameters.FirstOrDefault() is { } worstOf)
            yield return worstOf.Gradient.NonFinite == 0
                ? $"{worstOf.Name} has the gradient with the largest norm ({Figures.Of(worstOf.Gradient.Norm)})"
                : $"the gradients of {record.Parameters.Count(parameter => parameter.Gradient.NonFinite > 0)} of " +
                  $"{record.Parameters.Count} parameters are not finite, most of them that of {worstOf.Name} " +
                  $"({worstOf.Gradient.NonFinite:N0} numbers)";
        if (record.Unlocated is { } reason) yield return $"documents are not named: {reason}";
    }

    // The document of the row with the highest loss is named already.
    private static string Rows(OutOfRange place, StepRecord record)
    {
        if (place.Rows == record.Rows.Count) return "in every row";
        RowRecord row = record.Rows.First(each => each.Row == place.Row);
        return $"in row {row.Row}" + (row == record.Rows[0] ? "" : Document(row));
    }

    private static string Document(RowRecord row) => row.Worst is { } worst
        ? $", {worst.Place?.ToString() ?? $"document {worst.Document}"} in it ({Loss(worst.Loss)})"
        : "";

    private static string Loss(double? loss) => loss is { } value ? HumanFormat.Loss(value) : "no targets";
}
