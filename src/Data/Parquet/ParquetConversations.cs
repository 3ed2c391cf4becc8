using System.Text.Json;
using System.Text.Json.Nodes;
using ParquetSharp;
using Trainer.Configuration;
using Trainer.Data.Chat;

namespace Trainer.Data.Parquet;

/// <summary>Reads conversations of a Parquet file, one from each row: lists of role and content, or of from and value; columns with
/// instruction, input and output; or such lists as text in JSON. One row group is in memory at a time.</summary>
internal static class ParquetConversations
{
    private static readonly string[] Alpaca = ["instruction", "input", "output"];

    public static IEnumerable<Conversation> Read(string path)
    {
        var row = 0L;
        foreach (var record in Records(path))
        {
            var place = new Conversation([], path, "row", ++row);
            yield return place with { Messages = Messages(place, record) };
        }
    }

    private static IReadOnlyList<ChatMessage> Messages(Conversation place, JsonObject record)
    {
        try
        {
            using var document = JsonDocument.Parse(record.ToJsonString());
            return ConversationShapes.Read(document.RootElement);
        }
        catch (ConversationException e)
        {
            throw place.Refused(e.Message, e);
        }
    }

    private static IEnumerable<JsonObject> Records(string path)
    {
        using var file = Guarded(path, () => new ParquetFileReader(path));
        var columns = Columns(path, file.FileMetaData.Schema);
        for (var group = 0; group < file.FileMetaData.NumRowGroups; group++)
        {
            var records = Guarded(path, () => Group(path, file, group, columns));
            foreach (var record in records)
                yield return record;
        }
    }

    /// <summary>The columns of the first shape that is whole: a key of the record, of its items, and the column's index.</summary>
    private static IReadOnlyList<(string Key, string? Item, int Index)> Columns(string path, SchemaDescriptor schema)
    {
        string[] paths = [.. Enumerable.Range(0, schema.NumColumns).Select(index => schema.Column(index).Path.ToDotString())];
        foreach (var (key, first, second) in new[] { ("messages", "role", "content"), ("conversations", "from", "value") })
        {
            if (Array.IndexOf(paths, key) is >= 0 and var text)
                return [(key, null, text)];
            int Of(string item) => Array.FindIndex(paths, leaf => leaf.StartsWith($"{key}.", StringComparison.Ordinal)
                && leaf.Split('.') is [_, _, _, var last] && last == item);
            if (Of(first) is >= 0 and var one && Of(second) is >= 0 and var other)
                return [(key, first, one), (key, second, other)];
        }
        if (paths.Contains(Alpaca[0]) && paths.Contains(Alpaca[2]))
            return [.. Alpaca.Where(paths.Contains).Select(key => (key, (string?)null, Array.IndexOf(paths, key)))];
        throw new UserException($"{path} has no conversations; it needs the columns messages (lists of role and content), conversations "
            + $"(of from and value) or instruction and output, and has {string.Join(", ", paths.Take(20))}");
    }

    private static JsonObject[] Group(string path, ParquetFileReader file, int number,
        IReadOnlyList<(string Key, string? Item, int Index)> columns)
    {
        using var group = file.RowGroup(number);
        var rows = checked((int)group.MetaData.NumRows);
        JsonObject[] records = [.. Enumerable.Range(0, rows).Select(_ => new JsonObject())];
        foreach (var (key, item, index) in columns)
        {
            using var column = group.Column(index);
            if (item is null)
                foreach (var (row, text) in column.LogicalReader<string?>().ReadAll(rows).Index())
                    records[row][key] = key is "messages" or "conversations" && text is not null ? Parsed(path, key, text) : text;
            else
                foreach (var (row, texts) in column.LogicalReader<string?[]?>().ReadAll(rows).Index())
                    Add(records[row], key, item, texts ?? []);
        }
        return records;
    }

    private static void Add(JsonObject record, string key, string item, string?[] texts)
    {
        var list = (JsonArray)(record[key] ??= new JsonArray());
        foreach (var (index, text) in texts.Index())
        {
            if (index == list.Count)
                list.Add(new JsonObject());
            list[index]![item] = text;
        }
    }

    private static JsonNode? Parsed(string path, string key, string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException e)
        {
            throw new UserException($"{path}, column \"{key}\" holds text that is no JSON: {e.Message.TrimEnd('.')}", e);
        }
    }

    private static T Guarded<T>(string path, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is ParquetException or ArgumentException or InvalidCastException or OverflowException
            or NotSupportedException)
        {
            throw new UserException($"{path} cannot be read as Parquet: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}; its "
                + "conversations must be lists of texts, or texts; get or write the file again", e);
        }
    }
}
