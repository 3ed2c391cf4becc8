using System.Text;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Tokenizers.RegularExpressions;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>An object of a <c>tokenizer.json</c> with its location, for errors.</summary>
internal sealed class JsonSection(string file, string at, JsonObject content)
{
    public string At => at;

    public JsonObject Content => content;

    public bool Has(string key) => content[key] is not null;

    public string Text(string key) => OptionalText(key) ?? throw Wrong(key, "a string is needed");

    public string? OptionalText(string key) => content[key] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<string>(out var text) => Whole(key, text),
        _ => throw Wrong(key, "a string is needed"),
    };

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

    public bool? OptionalFlag(string key) => Has(key) ? Flag(key, false) : null;

    public int Count(string key, int? fallback, int least = 0) => content[key] switch
    {
        null when fallback is not null => fallback.Value,
        JsonValue value when value.TryGetValue<int>(out var number) && number >= least => number,
        _ => throw Wrong(key, $"a number from {least} on is needed"),
    };

    public T Choice<T>(string key, T fallback) where T : struct, Enum
    {
        var text = OptionalText(key);
        if (text is null)
            return fallback;
        return Enum.GetNames<T>().Contains(text, StringComparer.OrdinalIgnoreCase) ? Enum.Parse<T>(text, ignoreCase: true)
            : throw Wrong(key, $"supported are {string.Join(", ", Enum.GetNames<T>())}");
    }

    public JsonSection Section(string key) => OptionalSection(key) ?? throw Wrong(key, "an object is needed");

    public JsonSection? OptionalSection(string key) => content[key] switch
    {
        null => null,
        JsonObject section => new JsonSection(file, Below(key), section),
        _ => throw Wrong(key, "an object is needed"),
    };

    public IReadOnlyList<JsonSection> Sections(string key)
    {
        var sections = new List<JsonSection>();
        foreach (var item in List(key))
            sections.Add(item is JsonObject section
                ? new JsonSection(file, $"{Below(key)}.{sections.Count}", section)
                : throw Wrong(key, "a list of objects is needed"));
        return sections;
    }

    public JsonArray List(string key) => content[key] as JsonArray ?? throw Wrong(key, "a list is needed");

    /// <summary>Rejects lone surrogates, which JSON strings may contain.</summary>
    public string Whole(string key, string text) =>
        Utf16.FirstLoneSurrogate(text) < 0 ? text : throw Damaged($"{key} holds half of a surrogate pair");

    public UserException Unsupported(string what) =>
        new($"{file} has {what} at {(at.Length == 0 ? "its root" : at)}, which is not supported; use a tokenizer without it");

    public UserException Damaged(string what) => new($"{file} is damaged at {(at.Length == 0 ? "its root" : at)}: {what}");

    private UserException Wrong(string key, string needed)
    {
        var found = content[key]?.ToJsonString() ?? "nothing";
        return new UserException($"{file} is damaged at {Below(key)}: {needed}, and it "
            + $"holds {(found.Length > 60 ? string.Concat(found.AsSpan(0, 60), "…") : found)}");
    }

    private string Below(string key) => at.Length == 0 ? key : $"{at}.{key}";
}

/// <summary>The pattern of Split and Replace: a plain string or a regular expression; the other is null.</summary>
internal sealed record TextPattern(JsonSection Where, string? Plain, string? Expression)
{
    /// <summary>Reads <c>pattern</c>: {"String": …} or {"Regex": …}.</summary>
    public static TextPattern Of(JsonSection section)
    {
        var pattern = section.Section("pattern");
        if (pattern.Has("String") == pattern.Has("Regex"))
            throw pattern.Damaged("it must hold either String or Regex");
        return pattern.Has("String")
            ? new TextPattern(pattern, pattern.Text("String"), null)
            : new TextPattern(pattern, null, pattern.Text("Regex"));
    }

    public RegularExpression Compile()
    {
        try
        {
            return new RegularExpression(Expression ?? Escape(Plain!));
        }
        catch (RegularExpressionException e)
        {
            throw Where.Damaged($"the regular expression {Expression} cannot be used: {e.Message}");
        }
    }

    private static string Escape(string text)
    {
        var escaped = new StringBuilder();
        foreach (var character in text)
            escaped.Append(char.IsAscii(character) && !char.IsAsciiLetterOrDigit(character)
                ? $@"\x{(int)character:X2}"
                : character.ToString());
        return escaped.ToString();
    }
}
