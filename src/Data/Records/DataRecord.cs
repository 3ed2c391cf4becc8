using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Corpora;
using Trainer.Data.Parquet;

namespace Trainer.Data.Records;

/// <summary>A record of named values, texts, numbers, lists and records among them, and where it stands.</summary>
/// <param name="Fields">An object.</param>
/// <param name="Source">The file it is from, or what made it.</param>
/// <param name="Unit">What <paramref name="Number"/> counts: <c>line</c>, <c>row</c> or <c>example</c>.</param>
/// <param name="Number">From 1.</param>
public sealed record DataRecord(JsonElement Fields, string Source, string Unit, long Number)
{
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 512 };

    private Dictionary<string, object?>? variables;

    /// <summary>The fields as values of templates.</summary>
    internal IReadOnlyDictionary<string, object?> Variables => variables ??= Fields.EnumerateObject()
        .GroupBy(value => value.Name).ToDictionary(value => value.Key, value => RecordTemplate.Value(value.Last().Value));

    /// <summary>The records of files of JSON lines (.jsonl, .json, .ndjson, with .gz or .zst if compressed) or Parquet, one after another.
    /// </summary>
    /// <exception cref="UserException">A file cannot be read, or has no record; the message names the line or row.</exception>
    public static IReadOnlyList<DataRecord> ReadAll(IEnumerable<string> paths) => [.. paths.SelectMany(ReadFile)];

    /// <summary>The files of a path: a file, all files below a folder, or those that a glob matches; in ordinal order.</summary>
    public static IReadOnlyList<string> Files(string path) =>
        FileGlob.IsPattern(path) ? FileGlob.Match(path) : Directory.Exists(path) ? FileGlob.Below(Path.GetFullPath(path)) : [path];

    /// <summary>Whether <see cref="ReadAll"/> reads files of this name.</summary>
    public static bool IsKnown(string path) => FileFormat.ByName(path)?.Format is SourceFormat.JsonLines or SourceFormat.Parquet;

    /// <summary>An error that names the place.</summary>
    public UserException Wrong(string message, Exception? inner = null) => new($"{Source}, {Unit} {Number}: {message}", inner);

    private static IReadOnlyList<DataRecord> ReadFile(string path)
    {
        DataRecord[] records = FileFormat.ByName(path)?.Format switch
        {
            SourceFormat.Parquet => [.. ParquetRecords.Read(path).Select((fields, index) =>
                new DataRecord(JsonSerializer.SerializeToElement(fields), path, "row", index + 1))],
            SourceFormat.JsonLines => [.. ReadLines(path)],
            _ => throw new UserException($"{path} is neither JSON lines (.jsonl, .json, .ndjson) nor Parquet (.parquet); name such a file"),
        };
        return records.Length > 0 ? records : throw new UserException($"{path}: it has no records");
    }

    private static IEnumerable<DataRecord> ReadLines(string path)
    {
        using SourceStream stream = SourceStream.Open(path);
        LineBuffer lines = new(stream, path);
        while (lines.Next())
        {
            ReadOnlyMemory<byte> line = lines.Line;
            if (lines.Number == 1 && line.Span.StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF])) line = line[3..];
            if (!line.Span.Trim(" \t\r"u8).IsEmpty) yield return Parse(new(default, path, "line", lines.Number), line);
        }
    }

    private static DataRecord Parse(DataRecord place, ReadOnlyMemory<byte> line)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line, Options);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? place with { Fields = document.RootElement.Clone() }
                : throw place.Wrong("it is no object, {\"field\": \"text\"}");
        }
        catch (JsonException error)
        {
            throw place.Wrong($"it is no JSON: {error.Message.Split(" LineNumber:")[0].TrimEnd('.')}", error);
        }
    }
}
