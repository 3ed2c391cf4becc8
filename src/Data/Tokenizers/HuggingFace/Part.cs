using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Data.HuggingFace;

/// <summary>One object of a <c>tokenizer.json</c>, which knows where it stands for the sake of errors.</summary>
internal sealed class Part(string file, string at, JsonObject content)
{
    /// <summary>The place in the file, such as <c>pre_tokenizer.pretokenizers.0</c>.</summary>
    public string At => at;

    /// <summary>The values.</summary>
    public JsonObject Content => content;

    /// <summary>Whether a value is there and not null.</summary>
    public bool Has(string key) => content[key] is not null;

    public string Text(string key) => OptionalText(key) ?? throw Wrong(key, "a string is needed");

    public string? OptionalText(string key) => content[key] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<string>(out var text) => Whole(key, text),
        _ => throw Wrong(key, "a string is needed"),
    };

    /// <summary>A string of exactly one character.</summary>
    public string Character(string key, string? fallback)
    {
        var text = OptionalText(key) ?? fallback ?? throw Wrong(key, "a string is needed");
        return text.EnumerateRunes().Count() == 1 ? text : throw Wrong(key, "one character is needed");
    }

    public bool Flag(string key, bool fallback) => content[key] switch
    {
        null => fallback,
        JsonValue value when value.TryGetValue<bool>(out var flag) => flag,
        _ => throw Wrong(key, "true or false is needed"),
    };

    /// <summary>true, false, or null where the value is absent.</summary>
    public bool? OptionalFlag(string key) => Has(key) ? Flag(key, false) : null;

    public int Count(string key, int? fallback, int least = 0) => content[key] switch
    {
        null when fallback is not null => fallback.Value,
        JsonValue value when value.TryGetValue<int>(out var number) && number >= least => number,
        _ => throw Wrong(key, $"a number from {least} on is needed"),
    };

    /// <summary>One of the names of an enumeration; capitals do not matter.</summary>
    public T Choice<T>(string key, T fallback) where T : struct, Enum
    {
        var text = OptionalText(key);
        if (text is null)
            return fallback;
        return Enum.GetNames<T>().Contains(text, StringComparer.OrdinalIgnoreCase) ? Enum.Parse<T>(text, ignoreCase: true)
            : throw Wrong(key, $"supported are {string.Join(", ", Enum.GetNames<T>())}");
    }

    public Part Section(string key) => OptionalSection(key) ?? throw Wrong(key, "an object is needed");

    public Part? OptionalSection(string key) => content[key] switch
    {
        null => null,
        JsonObject section => new Part(file, Below(key), section),
        _ => throw Wrong(key, "an object is needed"),
    };

    public IReadOnlyList<Part> Sections(string key)
    {
        var sections = new List<Part>();
        foreach (var item in List(key))
            sections.Add(item is JsonObject section
                ? new Part(file, $"{Below(key)}.{sections.Count}", section)
                : throw Wrong(key, "a list of objects is needed"));
        return sections;
    }

    public JsonArray List(string key) => content[key] as JsonArray ?? throw Wrong(key, "a list is needed");

    /// <summary>The value as UTF-16 text; a JSON string may hold half a surrogate pair, which no text has.</summary>
    public string Whole(string key, string text) =>
        EncodingValidity.FirstLoneSurrogate(text) < 0 ? text : throw Damaged($"{key} holds half of a surrogate pair");

    /// <summary>The error for a component or option that is understood but not supported.</summary>
    public UserException Unsupported(string what) =>
        new($"{file} has {what} at {(at.Length == 0 ? "its root" : at)}, which is not supported; use a tokenizer without it");

    /// <summary>The error for values that contradict the format.</summary>
    public UserException Damaged(string what) => new($"{file} is damaged at {(at.Length == 0 ? "its root" : at)}: {what}");

    private UserException Wrong(string key, string needed)
    {
        var found = content[key]?.ToJsonString() ?? "nothing";
        return new UserException($"{file} is damaged at {Below(key)}: {needed}, and it holds {(found.Length > 60 ? string.Concat(found.AsSpan(0, 60), "…") : found)}");
    }

    private string Below(string key) => at.Length == 0 ? key : $"{at}.{key}";
}
