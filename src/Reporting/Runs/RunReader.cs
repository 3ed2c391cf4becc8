using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;

namespace Trainer.Reporting;

/// <summary>Reads what a run directory holds. Nothing in it is changed, so a run that is going on can be read.</summary>
/// <param name="directory">The directory.</param>
/// <param name="warn">Told about every file or line that cannot be read.</param>
internal sealed class RunReader(string directory, Action<string> warn)
{
    private const string MetricsName = "metrics.jsonl";

    /// <summary>Reads the directory.</summary>
    /// <exception cref="UserException">There is none, or it is no run's.</exception>
    public RunRecord Read()
    {
        if (!Directory.Exists(directory))
            throw new UserException(File.Exists(directory)
                ? $"{directory}: it is a file; give the directory of a run, such as runs/<name>"
                : $"{directory}: there is no such run directory; runs are in runs/<name>, or where train --run put them");
        var (evaluations, studies, attention) = (Figures("evaluation*.json"), Figures("study*.json"), Figures("attention*.json"));
        if (!File.Exists(PathOf(MetricsName)) && !File.Exists(PathOf(CheckpointFiles.Configuration)) && evaluations.Count + studies.Count == 0)
            throw new UserException(
                $"{directory}: it is not a run directory: it has neither {MetricsName} nor {CheckpointFiles.Configuration}, nor evaluation*.json or study*.json; " +
                "give the directory that train made, such as runs/<name>");
        var configuration = File.Exists(PathOf(CheckpointFiles.Configuration)) ? Object(PathOf(CheckpointFiles.Configuration)) : null;
        return new RunRecord
        {
            Directory = directory,
            Configuration = configuration,
            Metrics = new MetricsReader(PathOf(MetricsName), warn).Read(),
            Samples = new SampleReader(PathOf("samples"), Prompts(configuration), warn).Read(),
            Evaluations = evaluations,
            Studies = studies,
            Attention = attention,
            Parameters = Parameters(),
        };
    }

    private string PathOf(string name) => Path.Combine(directory, name);

    private IReadOnlyList<FigureFile> Figures(string pattern) =>
        [.. Directory.EnumerateFiles(directory, pattern).OrderBy(Path.GetFileNameWithoutExtension, StringComparer.Ordinal) // study before study-position
            .Select(path => Object(path) is { } content ? new FigureFile(Path.GetFileNameWithoutExtension(path), content) : null).OfType<FigureFile>()];

    private JsonObject? Object(string path)
    {
        try
        {
            if (JsonNode.Parse(File.ReadAllText(path), documentOptions: new() { MaxDepth = 32, AllowDuplicateProperties = false }) is JsonObject content)
                return content;
            warn($"{path}: it is no JSON object and is left out");
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            warn($"{path}: it cannot be read and is left out ({error.Message.TrimEnd('.')})");
        }
        return null;
    }

    /// <summary>All that the run gave its model to continue.</summary>
    private static string[] Prompts(JsonObject? configuration)
    {
        var measures = (configuration?["evaluation"] as JsonObject)?["measures"] as JsonArray ?? [];
        return [.. Texts((configuration?["monitoring"] as JsonObject)?["samples"]), .. measures.OfType<JsonObject>().SelectMany(measure => Texts(measure["prompts"]))];

        static IEnumerable<string> Texts(JsonNode? list) =>
            (list as JsonArray ?? []).OfType<JsonValue>().Select(prompt => prompt.TryGetValue<string>(out var text) ? text : "");
    }

    /// <summary>Counted in the header of a weights file: reading and verifying all of it would take long for a large model.</summary>
    private long? Parameters()
    {
        CheckpointStore store = new(PathOf(CheckpointFiles.Folder));
        if ((store.Best ?? store.Steps.Cast<long?>().LastOrDefault()) is not { } step) return null;
        var path = Path.Combine(store.DirectoryOf(step), CheckpointFiles.Model);
        try
        {
            using var weights = SafetensorsFile.Open(path);
            return weights.Names.Sum(name => weights.Info(name).Shape.Aggregate(1L, (product, extent) => product * extent));
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            warn($"{path}: the parameters cannot be counted ({error.Message.TrimEnd('.')})");
            return null;
        }
    }
}
