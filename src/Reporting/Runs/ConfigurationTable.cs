using System.Text.Json.Nodes;

namespace Trainer.Reporting.Runs;

/// <summary>A setting and its value in each run of a report, as JSON; null where a run has no such setting.</summary>
internal sealed record SettingRow(string Path, IReadOnlyList<string?> Values)
{
    public bool Differs => Values.Distinct().Skip(1).Any();
}

internal static class ConfigurationTable
{
    /// <summary>Every setting of any run, in the order of the first that has it. A list of values is one setting.</summary>
    public static IReadOnlyList<SettingRow> Of(IReadOnlyList<JsonObject> configurations)
    {
        var flat = configurations.Select(configuration =>
        {
            List<(string Path, string Value)> settings = [];
            Flatten("", configuration, settings);
            return settings;
        }).ToArray();
        var values = flat.Select(settings => settings.ToDictionary(setting => setting.Path, setting => setting.Value)).ToArray();
        return [.. Paths(flat).Select(path => new SettingRow(path, [.. values.Select(settings => settings.GetValueOrDefault(path))]))];
    }

    /// <summary>A path that only a later run has goes behind its predecessor there, so that neighbours stay together.</summary>
    private static List<string> Paths(IEnumerable<List<(string Path, string Value)>> runs)
    {
        List<string> order = [];
        HashSet<string> known = [];
        foreach (var settings in runs)
        {
            var previous = -1;
            foreach (var (path, _) in settings)
            {
                if (known.Add(path)) order.Insert(++previous, path);
                else previous = order.IndexOf(path);
            }
        }
        return order;
    }

    private static void Flatten(string path, JsonNode? node, List<(string, string)> settings)
    {
        switch (node)
        {
            case JsonObject { Count: > 0 } group:
                foreach (var (name, value) in group) Flatten(path.Length == 0 ? name : $"{path}.{name}", value, settings);
                break;
            case JsonArray list when list.OfType<JsonObject>().Any():
                for (var i = 0; i < list.Count; i++) Flatten($"{path}.{i}", list[i], settings);
                break;
            default:
                settings.Add((path, node is JsonValue scalar
                    && scalar.TryGetValue<string>(out var text) ? text : node?.ToJsonString(PageJson.Readable) ?? "null"));
                break;
        }
    }
}
