using System.Collections;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>Settings from the command line, <c>training.steps=100</c>; a later one wins over an earlier one.</summary>
internal static class OverrideLayer
{
    public static Layer Read(IReadOnlyList<string> overrides, ICollection<Problem> problems)
    {
        var layer = new Layer();
        foreach (var text in overrides)
        {
            if (ReadOne(text, problems) is { } one)
                layer.Absorb(one);
        }
        return layer;
    }

    private static Layer? ReadOne(string text, ICollection<Problem> problems)
    {
        var equals = text.IndexOf('=');
        if (equals > 0)
            return LooseValue.Read(text[..equals].Trim().Split('.'), text[(equals + 1)..], $"from --set {text}", problems);
        var fault = equals < 0 ? "has no \"=\"" : "has no path before \"=\"";
        problems.Add(new Problem("", $"--set \"{text}\" {fault}; write --set path=value, such as --set training.steps=100"));
        return null;
    }
}

/// <summary>Settings from environment variables: <c>TRAINER__training__steps</c> is <c>training.steps</c>, in any case.</summary>
/// <remarks>Microsoft.Extensions.Configuration.EnvironmentVariables loses variables' names, for messages, and reads no lists.</remarks>
internal static class EnvironmentLayer
{
    private const string Prefix = "TRAINER__";

    public static Layer Read(IReadOnlyDictionary<string, string> environment, ICollection<Problem> problems)
    {
        var layer = new Layer();
        foreach (var (name, value) in environment.OrderBy(variable => variable.Key, StringComparer.Ordinal))
        {
            if (!name.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
                continue;
            var path = name[Prefix.Length..].Split("__");
            if (LooseValue.Read(path, value, $"from environment variable {name}", problems) is { } one)
                layer.Absorb(one);
        }
        return layer;
    }

    public static IReadOnlyDictionary<string, string> OfProcess() =>
        Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(variable => (string)variable.Key, variable => (string?)variable.Value ?? "");
}

/// <summary>One setting given as text, by the environment or an override.</summary>
/// <remarks>A whole JSON list or object is read as one, so that <c>optimizer.betas=[0.9,0.95]</c> replaces the list; anything else stays
/// text until the binder knows what it should be.</remarks>
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
        return path is [ReservedKeys.Extends] or [ReservedKeys.Schema] ? $"{path[0]} can only stand in a file" : null;
    }

    private static Layer Scalar(string key, string name, string value, string origin)
    {
        var layer = new Layer();
        layer.Add(key, new LayerEntry(LayerEntryKind.Loose, value, name, false, origin));
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
