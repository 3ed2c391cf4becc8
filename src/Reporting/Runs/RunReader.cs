using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Runs;

/// <summary>Reads a run directory without changing it, so an active run can be read.</summary>
internal sealed class RunReader(string directory, Action<string> warn)
{
    private const string MetricsName = "metrics.jsonl";

    public RunRecord Read()
    {
        if (!Directory.Exists(directory))
            throw new UserException(File.Exists(directory)
                ? $"{directory}: it is a file; give the directory of a run, such as runs/<name>"
                : $"{directory}: there is no such run directory; runs are in runs/<name>, or where train --run put them");
        var (evaluations, studies, attention) = (Figures("evaluation*.json"), Figures("study*.json"), Figures("attention*.json"));
        if (!File.Exists(PathOf(MetricsName)) && !File.Exists(PathOf(CheckpointFiles.Configuration))
            && evaluations.Count + studies.Count == 0)
            throw new UserException(
                $"{directory}: it is not a run directory: it has neither {MetricsName} nor {CheckpointFiles.Configuration}, nor " +
                "evaluation*.json or study*.json; " +
                "give the directory that train made, such as runs/<name>");
        var configuration = File.Exists(PathOf(CheckpointFiles.Configuration)) ? Object(PathOf(CheckpointFiles.Configuration)) : null;
        var (parameters, trained) = Parameters();
        return new RunRecord
        {
            Directory = directory,
            Configuration = configuration,
            Metrics = new MetricsReader(PathOf(MetricsName), warn).Read(),
            Samples = new SampleReader(PathOf("samples"), Prompts(configuration), warn).Read(),
            Evaluations = evaluations,
            Studies = studies,
            Attention = attention,
            StepTimes = [.. Figures("step-*.json", "profile").Where(IsProfile)],
            Parameters = parameters,
            TrainedParameters = trained,
        };
    }

    private string PathOf(string name) => Path.Combine(directory, name);

    /// <summary>Whether a file has the figures of <c>train --profile</c>, which the page draws.</summary>
    private bool IsProfile(FigureFile file)
    {
        if (file.Content["parts"] is JsonArray parts && parts.All(part => IsNumber(part?["seconds"]) && IsNumber(part?["share"]))
            && IsNumber(file.Content["secondsPerStep"]) && IsNumber(file.Content["unaccountedSeconds"]))
            return true;
        warn($"{PathOf("profile")}: {file.Name}.json is no profile of steps and is left out");
        return false;

        static bool IsNumber(JsonNode? node) => node?.GetValueKind() == JsonValueKind.Number;
    }

    private IReadOnlyList<FigureFile> Figures(string pattern, string folder = "") => !Directory.Exists(PathOf(folder)) ? [] :
        [.. Directory.EnumerateFiles(PathOf(folder), pattern)
            .OrderBy(Path.GetFileNameWithoutExtension, StringComparer.Ordinal) // study before study-position
            .Select(path => Object(path) is { } content
                ? new FigureFile(Path.GetFileNameWithoutExtension(path), content)
                : null).OfType<FigureFile>()];

    private JsonObject? Object(string path)
    {
        try
        {
            if (JsonNode.Parse(File.ReadAllText(path),
                documentOptions: new() { MaxDepth = 32, AllowDuplicateProperties = false }) is JsonObject content)
                return content;
            warn($"{path}: it is no JSON object and is left out");
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            warn($"{path}: it cannot be read and is left out ({error.Message.TrimEnd('.')})");
        }
        return null;
    }

    private static string[] Prompts(JsonObject? configuration)
    {
        var measures = (configuration?["evaluation"] as JsonObject)?["measures"] as JsonArray ?? [];
        return [.. Texts((configuration?["monitoring"] as JsonObject)?["samples"]), .. measures.OfType<JsonObject>()
            .SelectMany(measure => Texts(measure["prompts"]))];

        static IEnumerable<string> Texts(JsonNode? list) =>
            (list as JsonArray ?? []).OfType<JsonValue>().Select(prompt => prompt.TryGetValue<string>(out var text) ? text : "");
    }

    /// <summary>All, and those of an adapter, which is small enough to be verified; of a whole model they are counted in the header of a
    /// weights file, as reading and verifying a large one would take long.</summary>
    private (long? All, long? Trained) Parameters()
    {
        CheckpointStore store = new(PathOf(CheckpointFiles.Folder));
        if ((store.Best ?? store.Steps.Cast<long?>().LastOrDefault()) is not { } step) return (null, null);
        var directory = store.DirectoryOf(step);
        var path = Path.Combine(directory, CheckpointFiles.Model);
        try
        {
            if (File.Exists(Path.Combine(directory, CheckpointFiles.Adapter)))
                {
                var contents = CheckpointContents.Of(directory);
                return (contents.Parameters, contents.StoredParameters);
            }
            using var weights = SafetensorsFile.Open(path);
            return (weights.Names.Sum(name => weights.Info(name).Shape.Aggregate(1L, (product, extent) => product * extent)), null);
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException or UserException)
        {
            warn($"{path}: the parameters cannot be counted ({error.Message.TrimEnd('.')})");
            return (null, null);
        }
    }
}

/// <summary>A file of figures in a run directory, shown as a table.</summary>
internal sealed record FigureFile(string Name, JsonObject Content);

/// <summary>The prompt is empty where it is not known.</summary>
internal sealed record SampleText(string Prompt, string Text);

internal sealed record SampleSet(long Step, IReadOnlyList<SampleText> Texts);

internal sealed record RunRecord
{
    public required string Directory { get; init; }

    /// <summary>As saved, not bound: a report of an old run must not fail because a name changed.</summary>
    public required JsonObject? Configuration { get; init; }

    public required RunMetrics Metrics { get; init; }

    public required IReadOnlyList<SampleSet> Samples { get; init; }

    public required IReadOnlyList<FigureFile> Evaluations { get; init; }

    public required IReadOnlyList<FigureFile> Studies { get; init; }

    public required IReadOnlyList<FigureFile> Attention { get; init; }

    /// <summary>Where the time of steps went (<c>profile/step-*.json</c>).</summary>
    public required IReadOnlyList<FigureFile> StepTimes { get; init; }

    /// <summary>From the best or newest checkpoint; null where there is none.</summary>
    public required long? Parameters { get; init; }

    /// <summary>Those that an adapted run trains; null where that is all.</summary>
    public required long? TrainedParameters { get; init; }

    public bool IsEmpty => Metrics.IsEmpty && Samples.Count == 0 && Evaluations.Count == 0 && Studies.Count == 0 && Attention.Count == 0;
}

/// <summary>Reads the files of samples/, as <see cref="SampleFilesSink"/> writes them; the run's prompts show where texts begin.</summary>
internal sealed class SampleReader(string directory, IReadOnlyList<string> prompts, Action<string> warn)
{
    /// <summary>More samples would make the page large, and nobody reads them.</summary>
    internal const int MaxSteps = 100;

    public IReadOnlyList<SampleSet> Read()
    {
        if (!Directory.Exists(directory)) return [];
        (long Step, string Path)[] files =
            [.. Directory.EnumerateFiles(directory, "step-*.txt")
                .Select(path => (CheckpointFiles.StepOf(Path.GetFileNameWithoutExtension(path)), path))
                .Where(file => file.Item1 is not null).Select(file => (file.Item1!.Value, file.path)).Order()];
        if (files.Length > MaxSteps)
        {
            warn($"{directory}: {HumanFormat.Number(files.Length)} steps have samples; {MaxSteps} of them, spread evenly, are shown");
            files = [.. Enumerable.Range(0, MaxSteps).Select(i => files[(long)i * (files.Length - 1) / (MaxSteps - 1)])];
        }
        return [.. files.Select(file => Set(file.Step, file.Path)).OfType<SampleSet>()];
    }

    private SampleSet? Set(long step, string path)
    {
        try
        {
            return new SampleSet(step, [.. File.ReadAllText(path).Split(SampleFilesSink.Separator).Select(Text)]);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            warn($"{path}: the samples cannot be read ({error.Message.TrimEnd('.')})");
            return null;
        }
    }

    private SampleText Text(string sample)
    {
        var prompt = prompts.Where(prompt => sample.StartsWith(prompt, StringComparison.Ordinal)).MaxBy(prompt => prompt.Length) ?? "";
        return new SampleText(prompt, sample[prompt.Length..]);
    }
}
