using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>What may change between a checkpoint and the run that goes on from it.</summary>
/// <remarks>Weights, token ids and the place in the data have a meaning only under the model, tokenizer, data and seed they came
/// from. Everything else (length, learning rate, batch size, precision, device, cadences) is the user's to change. Files may have
/// moved: whether they are the same is for <see cref="ResumePoint.RequireData"/> to say.</remarks>
internal static class ResumeRules
{
    private static readonly string[] Fixed = ["seed", "model", "tokenizer", "data", "optimizer.type"];

    private static readonly string[] Free = ["data.loaderThreads"];

    /// <summary>Compares two recipes.</summary>
    /// <param name="saved">The checkpoint's.</param>
    /// <param name="now">The one to go on with.</param>
    /// <returns>The changes that are allowed, a line each.</returns>
    /// <exception cref="UserException">Something changed that must not; the message names each with both values.</exception>
    public static IReadOnlyList<string> Check(Recipe saved, Recipe now)
    {
        Change[] changes = [.. Changes(Leaves(saved), Leaves(now))];
        Change[] forbidden = [.. changes.Where(change => Fixed.Any(change.IsWithin) && !Free.Any(change.IsWithin) && !change.IsFileMoved)];
        if (forbidden.Length > 0)
            throw new UserException(
                "the run cannot go on with another configuration than its checkpoint's:\n" +
                string.Join("", forbidden.Select(change => $"  {change}\n")) +
                "set them back, or start another run with --run and a new directory (its weights can come from initialize.from)");
        return [.. changes.Select(change => change.ToString())];
    }

    private static IEnumerable<Change> Changes(Dictionary<string, string> saved, Dictionary<string, string> now)
    {
        foreach (string path in saved.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
        {
            string before = saved.GetValueOrDefault(path, "absent"), after = now.GetValueOrDefault(path, "absent");
            if (before != after) yield return new Change(path, before, after);
        }
    }

    private static Dictionary<string, string> Leaves(Recipe recipe)
    {
        Dictionary<string, string> leaves = [];
        Collect(JsonNode.Parse(ConfigurationJson.Serialize(recipe)), "", leaves);
        return leaves;
    }

    private static void Collect(JsonNode? node, string path, Dictionary<string, string> leaves)
    {
        IEnumerable<(string Key, JsonNode? Value)>? children = node switch
        {
            JsonObject fields => fields.Select(field => (field.Key, field.Value)),
            JsonArray items => items.Select((item, index) => (index.ToString(), item)),
            _ => null,
        };
        if (children is null) leaves[path] = node?.ToJsonString() ?? "null";
        else foreach ((string key, JsonNode? value) in children) Collect(value, path.Length == 0 ? key : $"{path}.{key}", leaves);
    }

    private sealed record Change(string Path, string Before, string After)
    {
        public bool IsWithin(string section) => Path == section || Path.StartsWith(section + ".", StringComparison.Ordinal);

        public bool IsFileMoved => IsWithin("data") && (Path.EndsWith(".path", StringComparison.Ordinal) || Path.EndsWith(".targetPath", StringComparison.Ordinal));

        public override string ToString() => $"{Path} was {Before} and is {After} now";
    }
}
