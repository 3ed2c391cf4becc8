using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Parquet;
using Trainer.Reporting.Runs;

namespace Trainer.Reporting;

/// <summary>The tables of a report as Parquet files, for notebooks; numbers are as they were recorded.</summary>
internal static class RunTables
{
    private static ParquetColumn Text(string name) => new(name, ParquetKind.Text);

    private static ParquetColumn Integer(string name) => new(name, ParquetKind.Integer);

    private static ParquetColumn Number(string name) => new(name, ParquetKind.Number);

    /// <summary>Writes runs, steps, evaluations, and the figures of evaluation*.json and study*.json into a folder.</summary>
    public static void Write(string folder, IReadOnlyList<RunRecord> runs, IReadOnlyList<string> names)
    {
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{folder}: the folder of the tables cannot be made: {error.Message}", error);
        }
        (RunRecord Run, string Name)[] named = [.. runs.Zip(names)];
        ParquetTable.Write(Path.Combine(folder, "runs.parquet"),
            [
                Text("run"), Text("directory"), Number("bestLoss"), Integer("bestStep"), Number("perplexity"), Number("lastLoss"),
                    Integer("steps"),
                Integer("plannedSteps"), Number("tokens"), Integer("parameters"), Number("seconds"), Number("tokensPerSecond"),
                    Integer("skippedSteps"), Integer("spikeSteps"), Integer("trainedParameters"),
            ],
            named.Select(item => Row(item.Name, item.Run.Directory, RunSummary.Of(item.Run))));
        ParquetTable.Write(Path.Combine(folder, "steps.parquet"),
            [Text("run"), Integer("step"), Integer("tokens"), Number("seconds"), Number("loss"), Number("learningRate"),
                Number("gradientNorm"), Number("tokensPerSecond")],
            named.SelectMany(item => item.Run.Metrics.Steps.Select(step => new object?[]
            {
                item.Name, step.Step, step.Tokens, step.Seconds, step.Loss, step.LearningRate, step.GradientNorm, step.TokensPerSecond,
            })));
        ParquetTable.Write(Path.Combine(folder, "evaluations.parquet"),
            [Text("run"), Integer("step"), Number("seconds"), Text("measure"), Text("figure"), Number("value")],
            named.SelectMany(item => Evaluations(item.Run.Metrics).Select(row => (object?[])[item.Name, .. row])));
        ParquetTable.Write(Path.Combine(folder, "figures.parquet"),
            [Text("run"), Text("file"), Text("path"), Number("number"), Text("text")],
            named.SelectMany(item => item.Run.Evaluations.Concat(item.Run.Studies)
                .SelectMany(file => Figures("", file.Content)
                    .Select(figure => new object?[] { item.Name, file.Name, figure.Path, figure.Number, figure.Text }))));
    }

    private static object?[] Row(string name, string directory, RunSummary run) =>
    [
        name, directory, run.BestLoss, run.BestStep, run.Perplexity, run.LastLoss, run.Steps, run.PlannedSteps, run.Tokens, run.Parameters,
            run.Seconds,
        run.TokensPerSecond, run.SkippedSteps, run.SpikeSteps, run.TrainedParameters,
    ];

    private static IEnumerable<object?[]> Evaluations(RunMetrics metrics) =>
        metrics.Evaluations.Select(record => new object?[] { record.Step, record.Seconds, "validation", "loss", record.Loss })
            .Concat(metrics.Measures.SelectMany(record => record.Figures.Select(
                figure => new object?[] { record.Step, record.Seconds, record.Name, figure.Key, figure.Value })));

    /// <summary>Every value of a file and its path, such as <c>rows.0.perplexity</c>.</summary>
    private static IEnumerable<(string Path, double? Number, string? Text)> Figures(string path, JsonNode? node) => node switch
    {
        JsonObject group => group.SelectMany(member => Figures(path.Length == 0 ? member.Key : $"{path}.{member.Key}", member.Value)),
        JsonArray list => list.SelectMany((item, i) => Figures(path.Length == 0 ? $"{i}" : $"{path}.{i}", item)),
        JsonValue value when value.GetValueKind() == JsonValueKind.Number => [(path, value.GetValue<double>(), null)],
        JsonValue value when value.TryGetValue<string>(out var text) => [(path, null, text)],
        _ => [(path, null, node?.ToJsonString())],
    };
}
