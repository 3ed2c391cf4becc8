using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Chat;

namespace Trainer.Data.Parquet;

/// <summary>Reads conversations of a Parquet file, one from each row: lists of role and content, or of from and value; columns with
/// instruction, input and output; or such lists as text in JSON. Or preferences: texts, or lists of role and content, in the columns that
/// <see cref="PreferenceShapes"/> names. One row group is in memory at a time.</summary>
internal static class ParquetConversations
{
    private static readonly string[] Alpaca = ["instruction", "input", "output"];
    private static readonly string[] Preference = ["prompt", "chosen", "rejected", "completion", "label"];

    /// <summary>What <paramref name="read"/> makes of each row; its place has no messages.</summary>
    public static IEnumerable<T> Read<T>(string path, bool preferences, Func<Conversation, JsonElement, T> read)
    {
        var row = 0L;
        foreach (var record in ParquetRecords.Read(
            path, columns => preferences ? PreferenceColumns(path, columns) : ConversationColumns(path, columns)))
            yield return Read(new Conversation([], path, "row", ++row), Parsed(path, record), read);
    }

    private static T Read<T>(Conversation place, JsonObject record, Func<Conversation, JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(record.ToJsonString());
            return read(place, document.RootElement);
        }
        catch (Exception e) when (e is ConversationException or InvalidOperationException)
        {
            throw place.Refused(e);
        }
    }

    /// <summary>The columns of the first shape that is whole; OpenAI's weight and tool_calls are read with it.</summary>
    private static IReadOnlyCollection<string> ConversationColumns(string path, IReadOnlyList<string> paths)
    {
        foreach (var (key, first, second) in new[] { ("messages", "role", "content"), ("conversations", "from", "value") })
        {
            if (paths.Contains(key))
                return [key];
            string[] inner = [.. paths.Where(leaf => leaf.StartsWith($"{key}.", StringComparison.Ordinal))];
            if (inner.Any(leaf => Ends(leaf, first)) && inner.Any(leaf => Ends(leaf, second)))
                return [.. inner.Where(leaf => Ends(leaf, first) || Ends(leaf, second) || Ends(leaf, "weight")
                    || leaf.Split('.') is [_, _, _, "tool_calls", ..])];
        }
        if (paths.Contains(Alpaca[0]) && paths.Contains(Alpaca[2]))
            return [.. Alpaca.Where(paths.Contains)];
        throw new UserException($"{path} has no conversations; it needs the columns messages (lists of role and content), conversations "
            + $"(of from and value) or instruction and output, and has {string.Join(", ", paths.Take(20))}");
    }

    private static IReadOnlyCollection<string> PreferenceColumns(string path, IReadOnlyList<string> paths)
    {
        string[] found = [.. paths.Where(leaf => Preference.Contains(leaf.Split('.')[0]))];
        return found.Length > 0 ? found : throw new UserException($"{path} has no preferences; it needs the columns chosen and rejected, "
            + $"with or without prompt, or prompt, completion and label, and has {string.Join(", ", paths.Take(20))}");
    }

    private static bool Ends(string leaf, string name) => leaf.Split('.') is [_, _, _, var last] && last == name;

    private static JsonObject Parsed(string path, JsonObject record)
    {
        foreach (var key in new[] { "messages", "conversations" })
            if (record[key] is JsonValue text && text.TryGetValue<string>(out var json))
                record[key] = Parsed(path, key, json);
        return record;
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
}
