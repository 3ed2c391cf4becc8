using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>A Hugging Face <c>config.json</c> while a family reads it: remembers what was read, and gathers everything that cannot be expressed.</summary>
internal sealed class HuggingFaceConfig
{
    /// <summary>The file's name.</summary>
    public const string FileName = "config.json";

    private readonly string path;
    private readonly string prefix;
    private readonly JsonObject content;
    private readonly HashSet<string> read = [];
    private readonly List<Problem> problems;

    private HuggingFaceConfig(string path, string prefix, JsonObject content, List<Problem> problems) =>
        (this.path, this.prefix, this.content, this.problems) = (path, prefix, content, problems);

    /// <summary>Reads the <c>config.json</c> of a directory.</summary>
    /// <exception cref="UserException">It is missing or no JSON object.</exception>
    public static HuggingFaceConfig Load(string directory)
    {
        string path = Path.Combine(directory, FileName);
        if (!File.Exists(path))
            throw new UserException($"{path}: it is missing; give the directory of a Hugging Face checkpoint, with {FileName} and safetensors");
        try
        {
            return Of(JsonNode.Parse(File.ReadAllBytes(path)) as JsonObject ?? throw new UserException($"{path}: it must hold a JSON object"), path);
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it is no valid JSON ({error.Message}); download it again", error);
        }
    }

    /// <summary>A configuration that is in memory.</summary>
    public static HuggingFaceConfig Of(JsonObject content, string path = FileName) => new(path, "", content, []);

    /// <summary>Where it was read.</summary>
    public string Location => path;

    /// <summary>The family's name, such as <c>llama</c>.</summary>
    public string ModelType => OptionalText("model_type") ?? throw new UserException($"{path}: it has no model_type, which names the family of the model");

    /// <summary>Whether a setting is there and not null.</summary>
    public bool Has(string key)
    {
        read.Add(key);
        return content[key] is not null;
    }

    /// <summary>Whether a setting is there, be it null.</summary>
    public bool Names(string key) => content.ContainsKey(key);

    /// <summary>A value as it stands, not counted as read.</summary>
    public JsonNode? Raw(string key) => content[key];

    /// <summary>A whole number.</summary>
    public int Count(string key, int? fallback = null) => OptionalCount(key) ?? fallback ?? Missing(key, "a whole number", 1);

    /// <summary>A whole number, or null where it is absent or null.</summary>
    public int? OptionalCount(string key) => Value(key) switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out int number) => number,
        JsonValue value when value.TryGetValue(out double number) && number == Math.Floor(number) && Math.Abs(number) < int.MaxValue => (int)number,
        var other => Wrong(key, "a whole number", other, (int?)1),
    };

    /// <summary>A number.</summary>
    public double Number(string key, double? fallback = null) => OptionalNumber(key) ?? fallback ?? Missing(key, "a number", 1.0);

    /// <summary>A number, or null where it is absent or null.</summary>
    public double? OptionalNumber(string key) => Value(key) switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out double number) => number,
        var other => Wrong(key, "a number", other, (double?)1),
    };

    /// <summary>True or false.</summary>
    public bool Flag(string key, bool fallback) => Value(key) switch
    {
        null => fallback,
        JsonValue value when value.TryGetValue(out bool flag) => flag,
        var other => Wrong(key, "true or false", other, fallback),
    };

    /// <summary>A word.</summary>
    public string Text(string key, string? fallback = null) => OptionalText(key) ?? fallback ?? Missing(key, "a string", "");

    /// <summary>A word, or null where it is absent or null.</summary>
    public string? OptionalText(string key) => Value(key) switch
    {
        null => null,
        JsonValue value when value.TryGetValue(out string? text) => text,
        var other => Wrong(key, "a string", other, (string?)null),
    };

    /// <summary>A list of words, or null.</summary>
    public IReadOnlyList<string>? OptionalTexts(string key) =>
        Value(key) is JsonArray items && items.All(item => item is JsonValue value && value.TryGetValue(out string? _))
            ? [.. items.Select(item => item!.GetValue<string>())]
            : Value(key) is null ? null : Wrong(key, "a list of strings", Value(key), (IReadOnlyList<string>?)null);

    /// <summary>A list of whole numbers, or null.</summary>
    public IReadOnlyList<int>? OptionalCounts(string key) =>
        Value(key) is JsonArray items && items.All(item => item is JsonValue value && value.TryGetValue(out int _))
            ? [.. items.Select(item => item!.GetValue<int>())]
            : Value(key) is null ? null : Wrong(key, "a list of whole numbers", Value(key), (IReadOnlyList<int>?)null);

    /// <summary>An object within, or null; what cannot be expressed in it is reported here.</summary>
    public HuggingFaceConfig? Section(string key) => Value(key) switch
    {
        null => null,
        JsonObject section => new(path, $"{prefix}{key}.", section, problems),
        var other => Wrong(key, "an object", other, (HuggingFaceConfig?)null),
    };

    /// <summary>One of several words, each standing for something of ours.</summary>
    public T Choice<T>(string key, string? fallback, IReadOnlyDictionary<string, T> choices)
    {
        string? found = OptionalText(key) ?? fallback;
        if (found is not null && choices.TryGetValue(found, out T? choice)) return choice;
        Refuse(key, found is null ? $"is missing; it can be {string.Join(", ", choices.Keys)}" : $"is \"{found}\"; this program knows {string.Join(", ", choices.Keys)}");
        return choices.Values.First();
    }

    /// <summary>Reports a setting that has any other value than the one this program can express; absence is that value.</summary>
    public void Only(string key, bool value, string because)
    {
        if (Flag(key, value) != value) Refuse(key, $"is {(value ? "false" : "true")}; {because}");
    }

    /// <summary>Reports that a setting cannot be expressed.</summary>
    public void Refuse(string key, string message) => problems.Add(new(prefix + key, message));

    /// <summary>Settings that change nothing here: of training, of libraries, of generation.</summary>
    public void Unused(params ReadOnlySpan<string> keys)
    {
        foreach (string key in keys) read.Add(key);
    }

    /// <summary>What cannot be expressed.</summary>
    public IReadOnlyList<Problem> Refusals => problems;

    /// <summary>Ends reading.</summary>
    /// <returns>The settings which nothing asked for and which are not empty.</returns>
    /// <exception cref="UserException">There are settings that cannot be expressed; it lists all of them.</exception>
    public IReadOnlyList<string> Finish()
    {
        if (problems.Count > 0)
            throw new UserException($"{path}: this program has no such model:\n{string.Join('\n', problems.Select(problem => $"  {problem.Path} {problem.Message}"))}");
        Unused(HuggingFace.Unused.Everywhere);
        return [.. content.Where(entry => !read.Contains(entry.Key) && !IsEmpty(entry.Value)).Select(entry => entry.Key)];
    }

    private static bool IsEmpty(JsonNode? value) => value switch
    {
        null or JsonArray { Count: 0 } or JsonObject { Count: 0 } => true,
        JsonValue flag when flag.TryGetValue(out bool on) => !on,
        _ => false,
    };

    private JsonNode? Value(string key)
    {
        read.Add(key);
        return content[key];
    }

    private T Missing<T>(string key, string needed, T instead)
    {
        Refuse(key, $"is missing; {needed} is needed");
        return instead;
    }

    private T Wrong<T>(string key, string needed, JsonNode? found, T instead)
    {
        Refuse(key, $"is {found?.ToJsonString() ?? "null"}; {needed} is needed");
        return instead;
    }
}
