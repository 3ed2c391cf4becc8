using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>One setting given as text, by the environment or an override.</summary>
/// <remarks>Text that is a whole JSON list or object is read as one, so that <c>optimizer.betas=[0.9,0.95]</c> replaces the list;
/// anything else is kept as text until the binder knows what it should be.</remarks>
internal static class LooseValue
{
    public static Layer? Read(string[] path, string value, string origin, ICollection<Problem> problems)
    {
        var fault = Fault(path);
        if (fault is not null)
        {
            problems.Add(new Problem(string.Join('.', path), $"{fault} ({origin})"));
            return null;
        }
        var key = ConfigurationPath.Combine(path);
        return ReadContainer(key, value, origin, problems) ?? Scalar(key, path[^1], value, origin);
    }

    private static string? Fault(string[] path)
    {
        if (path.Any(name => string.IsNullOrWhiteSpace(name) || name.Contains(ConfigurationPath.KeyDelimiter, StringComparison.Ordinal)))
            return "not a path: its parts are names or list indices, none empty, without colons";
        return path is [Reserved.Extends] or [Reserved.Schema] ? $"{path[0]} can only stand in a file" : null;
    }

    private static Layer Scalar(string key, string name, string value, string origin)
    {
        var layer = new Layer();
        layer.Add(key, new Entry(EntryKind.Loose, value, name, false, origin));
        return layer;
    }

    private static Layer? ReadContainer(string key, string value, string origin, ICollection<Problem> problems)
    {
        if (!value.StartsWith('[') && !value.StartsWith('{'))
            return null;
        var found = new List<Problem>();
        var reader = new JsonLayerReader(new JsonText(Encoding.UTF8.GetBytes(value)), _ => origin, found);
        try
        {
            reader.ReadValue(key);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            return null;
        }
        found.ForEach(problems.Add);
        return reader.Layer;
    }
}
