using System.Text;
using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>Reads one string field of JSON lines (jsonlines.org): an object per line, UTF-8, blank lines skipped. The field may be nested
/// (<c>a.b</c>), or literally named <c>a.b</c>; the last of duplicate fields counts. A missing field or null means no text; if no line has
/// the field, its name is wrong and an error.</summary>
internal sealed class JsonLinesReader : RecordReader
{
    private const int Patience = 1000;

    private static readonly JsonReaderOptions Options = new() { MaxDepth = 512 };
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    private readonly string column;
    private readonly byte[][] names;
    private readonly byte[][] remainders;
    private readonly SourceStream stream;
    private readonly LineBuffer lines;
    private readonly SortedSet<string> seen = new(StringComparer.Ordinal);
    private byte[] unescaped = [];
    private ReadOnlyMemory<byte>? value;
    private long records;
    private bool found;

    public JsonLinesReader(string path, string column) : base(path, "line", $"field \"{column}\"")
    {
        this.column = column;
        var parts = column.Split('.');
        names = [.. parts.Select(Encoding.UTF8.GetBytes)];
        remainders = [.. parts.Select((_, index) => Encoding.UTF8.GetBytes(string.Join('.', parts[index..])))];
        stream = SourceStream.Open(path);
        lines = new LineBuffer(stream, path);
    }

    public override long Number => lines.Number;

    public override ReadOnlyMemory<byte>? Value => value;

    public override bool Next()
    {
        while (lines.Next())
        {
            var line = lines.Line;
            if (lines.Number == 1 && line.Span.StartsWith(ByteOrderMark))
                line = line[ByteOrderMark.Length..];
            if (line.Span.Trim(" \t\r"u8).IsEmpty)
                continue;
            Parse(line);
            if (++records == Patience && !found)
                throw Missing($"in its first {Patience} records");
            return true;
        }
        if (records > 0 && !found)
            throw Missing(records == 1 ? "in its only record" : $"in any of its {records} records");
        return false;
    }

    private void Parse(ReadOnlyMemory<byte> line)
    {
        value = null;
        var json = new Utf8JsonReader(line.Span, Options);
        try
        {
            json.Read();
            if (json.TokenType != JsonTokenType.StartObject)
                throw NoObject(json.TokenType);
            Search(ref json, line, 0);
            json.Read();   // throws when anything but white space follows
        }
        catch (JsonException e)
        {
            throw new UserException(
                $"{File}, line {lines.Number} (at byte {lines.Offset + json.BytesConsumed}) is not valid JSON: {Reason(e)}; "
                + "each line must be one whole JSON object", e);
        }
        catch (InvalidOperationException e)
        {
            throw new UserException(
                $"{File}, line {lines.Number} (at byte {lines.Offset + json.TokenStartIndex}): field \"{column}\" is not valid "
                + $"Unicode: {e.Message.TrimEnd('.')}; "
                + "remove or repair the record", e);
        }
    }

    private void Search(ref Utf8JsonReader json, ReadOnlyMemory<byte> line, int level)
    {
        while (json.Read() && json.TokenType == JsonTokenType.PropertyName)
        {
            if (level == 0 && records == 0)
                seen.Add(json.GetString()!);
            var isValue = json.ValueTextEquals(remainders[level]);
            var isParent = !isValue && level + 1 < names.Length && json.ValueTextEquals(names[level]);
            json.Read();
            if (isValue)
                Take(ref json, line);
            else if (isParent && json.TokenType == JsonTokenType.StartObject)
                Search(ref json, line, level + 1);
            else
                json.Skip();
        }
    }

    private void Take(ref Utf8JsonReader json, ReadOnlyMemory<byte> line)
    {
        found = true;
        switch (json.TokenType)
        {
            case JsonTokenType.Null:
                value = null;
                break;
            case JsonTokenType.String when json.ValueIsEscaped:
                if (unescaped.Length < json.ValueSpan.Length)
                    unescaped = new byte[Math.Max(json.ValueSpan.Length, Math.Min(2 * unescaped.Length, 1 << 20))];
                value = unescaped.AsMemory(0, json.CopyString(unescaped));
                break;
            case JsonTokenType.String:
                value = line.Slice((int)json.TokenStartIndex + 1, json.ValueSpan.Length);
                break;
            default:
                throw new UserException(
                    $"{File}, line {lines.Number} (at byte {lines.Offset + json.TokenStartIndex}): field \"{column}\" "
                    + $"is {Kind(json.TokenType)}, not a string; "
                    + "name a field with text in column");
        }
    }

    private UserException NoObject(JsonTokenType type) => new(
        $"{File}, line {lines.Number} (at byte {lines.Offset}) is {Kind(type)}, not an object; JSON lines have one object a line"
        + (type == JsonTokenType.StartArray ? $"; turn one array into lines: jq -c '.[]' \"{File}\" > lines.jsonl" : ""));

    private UserException Missing(string where) => new(
        $"{File} has no field \"{column}\" {where}; its first record "
        + $"has {(seen.Count == 0 ? "no fields" : string.Join(", ", seen.Take(20)))}; name one in column");

    private static string Kind(JsonTokenType type) => type switch
    {
        JsonTokenType.StartArray => "an array",
        JsonTokenType.StartObject => "an object",
        JsonTokenType.Number => "a number",
        JsonTokenType.String => "a string",
        JsonTokenType.Null => "null",
        _ => "a boolean",
    };

    /// <summary>The message without the appended position, which is relative to the line.</summary>
    private static string Reason(JsonException e) => e.Message.Split(" LineNumber:")[0].TrimEnd('.');

    public override void Dispose() => stream.Dispose();
}
