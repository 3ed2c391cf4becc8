using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Layers;

/// <summary>Flattens one JSON text, comments and trailing commas allowed, into a <see cref="Layer"/> with the line of every key.</summary>
/// <remarks>Microsoft.Extensions.Configuration.Json keeps text only (8 and "8", null and {}, [] and "" are the same) and no lines, stops
/// at the first duplicate key, takes a colon in a key for a path and replaces bytes that are not UTF-8; WhatTheJsonPackageLacksTests
/// show each. Its parser is internal.</remarks>
internal sealed class JsonLayerReader(JsonText text, Func<int, string> origin, ICollection<Problem> problems)
{
    public (string Value, string Origin)? Extends { get; private set; }

    public Layer Layer { get; } = new();

    public bool IsWhole { get; private set; } = true;

    /// <summary>Reads a file: one object, whose reserved keys <c>$schema</c> and <c>extends</c> are not settings.</summary>
    public static JsonLayerReader ReadFile(string name, JsonText text, ICollection<Problem> problems)
    {
        var reader = new JsonLayerReader(text, line => $"in {name}:{line}", problems);
        if (text.IsBlank)
        {
            reader.Fail("", $"{name} is empty; it must hold one object, at least {{}}");
            return reader;
        }
        try
        {
            reader.ReadFile();
        }
        catch (JsonException error)
        {
            reader.Fail("", $"not valid JSON at {name}:{text.Describe(error)}");
        }
        catch (InvalidOperationException error)
        {
            reader.Fail("", $"{name} is not valid UTF-8 text: {error.Message}");
        }
        return reader;
    }

    private void ReadFile()
    {
        var reader = text.Reader();
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            Fail("", $"{KindOf(reader.TokenType)} is given where one object is expected ({Origin(reader)})");
            return;
        }
        ReadMembers(ref reader, "");
        reader.Read();
    }

    private void Fail(string path, string message)
    {
        IsWhole = false;
        problems.Add(new Problem(path, message));
    }

    /// <summary>Reads any JSON value as the setting at a key.</summary>
    public void ReadValue(string key)
    {
        var reader = text.Reader();
        reader.Read();
        Read(ref reader, key, new LayerEntry(LayerEntryKind.Null, null, NameOf(key), false, Origin(reader)));
        reader.Read();
    }

    private void ReadMembers(ref Utf8JsonReader reader, string parent)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            var entry = new LayerEntry(LayerEntryKind.Null, null, name, true, Origin(reader));
            reader.Read();
            if (parent.Length > 0 || !ReadReserved(ref reader, entry))
                ReadMember(ref reader, parent, entry);
        }
    }

    private bool ReadReserved(ref Utf8JsonReader reader, LayerEntry entry)
    {
        if (entry.Name == ReservedKeys.Extends && reader.TokenType == JsonTokenType.String)
            Extends = (reader.GetString()!, entry.Origin);
        else if (entry.Name == ReservedKeys.Extends)
            Fail(entry.Name, $"{KindOf(reader.TokenType)} is given where the name of one file is expected ({entry.Origin})");
        else if (entry.Name != ReservedKeys.Schema)
            return false;
        reader.Skip();
        return true;
    }

    private void ReadMember(ref Utf8JsonReader reader, string parent, LayerEntry entry)
    {
        var key = parent.Length == 0 ? entry.Name : ConfigurationPath.Combine(parent, entry.Name);
        var fault = Fault(key, entry);
        if (fault is null)
        {
            Read(ref reader, key, entry);
            return;
        }
        problems.Add(new Problem(key.Replace(ConfigurationPath.KeyDelimiter, "."), fault));
        reader.Skip();
    }

    private string? Fault(string key, LayerEntry entry)
    {
        if (entry.Name.Length == 0 || entry.Name.Contains(ConfigurationPath.KeyDelimiter, StringComparison.Ordinal))
            return $"\"{entry.Name}\" cannot be a key ({entry.Origin}); keys are not empty and hold no colon";
        return Layer.Entries.TryGetValue(key, out var first)
            ? $"given twice ({first.Origin} and {entry.Origin}); keep one (keys that differ only in case are the same)"
            : null;
    }

    private void Read(ref Utf8JsonReader reader, string key, LayerEntry blank)
    {
        Layer.Add(key, blank with { Kind = Kind(reader.TokenType), Text = ScalarText(ref reader) });
        if (reader.TokenType == JsonTokenType.StartObject)
            ReadMembers(ref reader, key);
        else if (reader.TokenType == JsonTokenType.StartArray)
            ReadItems(ref reader, key);
    }

    private void ReadItems(ref Utf8JsonReader reader, string parent)
    {
        for (var index = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; index++)
            Read(ref reader, ConfigurationPath.Combine(parent, $"{index}"),
                new LayerEntry(LayerEntryKind.Null, null, $"{index}", true, Origin(reader)));
    }

    private string Origin(Utf8JsonReader reader) => origin(text.Line(reader.TokenStartIndex));

    private static string NameOf(string key) => ConfigurationPath.GetSectionKey(key);

    private static string? ScalarText(ref Utf8JsonReader reader) => reader.TokenType switch
    {
        JsonTokenType.String => reader.GetString(),
        JsonTokenType.Number => System.Text.Encoding.ASCII.GetString(reader.ValueSpan),
        JsonTokenType.True => "true",
        JsonTokenType.False => "false",
        _ => null,
    };

    private static LayerEntryKind Kind(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => LayerEntryKind.Object,
        JsonTokenType.StartArray => LayerEntryKind.List,
        JsonTokenType.String => LayerEntryKind.Text,
        JsonTokenType.Number => LayerEntryKind.Number,
        JsonTokenType.True or JsonTokenType.False => LayerEntryKind.Boolean,
        _ => LayerEntryKind.Null,
    };

    private static string KindOf(JsonTokenType token) => Kind(token) switch
    {
        LayerEntryKind.Object => "an object",
        LayerEntryKind.List => "a list",
        LayerEntryKind.Text => "text",
        LayerEntryKind.Number => "a number",
        LayerEntryKind.Boolean => "true or false",
        _ => "null",
    };
}

internal sealed class JsonText
{
    private static readonly byte[] ByteOrderMark = [0xEF, 0xBB, 0xBF];
    private readonly byte[] bytes;
    private readonly List<int> lineStarts = [0];

    public JsonText(byte[] content)
    {
        bytes = content.AsSpan().StartsWith(ByteOrderMark) ? content[ByteOrderMark.Length..] : content;
        for (var i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] == (byte)'\n')
                lineStarts.Add(i + 1);
        }
    }

    public bool IsBlank => bytes.AsSpan().IndexOfAnyExcept(" \t\r\n"u8) < 0;

    public Utf8JsonReader Reader() => new(bytes, new JsonReaderOptions
    {
        CommentHandling = JsonCommentHandling.Skip,
        AllowTrailingCommas = true,
    });

    public int Line(long offset) // counted from 1
    {
        var found = lineStarts.BinarySearch((int)offset);
        return found >= 0 ? found + 1 : ~found;
    }

    /// <summary>Line and column of a syntax error and what is wrong, as <c>3:5: …</c>; columns count characters from 1.</summary>
    public string Describe(JsonException error)
    {
        var line = (int)(error.LineNumber ?? 0);
        var start = lineStarts[Math.Min(line, lineStarts.Count - 1)];
        var length = Math.Clamp((int)(error.BytePositionInLine ?? 0), 0, bytes.Length - start);
        var column = Encoding.UTF8.GetCharCount(bytes, start, length) + 1;
        return $"{line + 1}:{column}: {WithoutPosition(error.Message)}";
    }

    private static string WithoutPosition(string message)
    {
        var end = message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return (end < 0 ? message : message[..end]).TrimEnd('.');
    }
}
