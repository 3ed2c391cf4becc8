using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Data.Chat;

namespace Trainer.Data.Parquet;

/// <summary>Reads preferences of a Parquet file, one from each row: texts, or lists of role and content, in the columns that
/// <see cref="PreferenceShapes"/> names. One row group is in memory at a time.</summary>
internal static class ParquetPreferences
{
    private static readonly string[] Keys = ["prompt", "chosen", "rejected", "completion", "label"];

    /// <summary>What <paramref name="read"/> makes of each row; its place has no messages.</summary>
    public static IEnumerable<T> Read<T>(string path, Func<Conversation, JsonElement, T> read)
    {
        var row = 0L;
        foreach (var record in ParquetRecords.Read(path, columns => Columns(path, columns)))
            yield return Read(new Conversation([], path, "row", ++row), record, read);
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

    private static IReadOnlyCollection<string> Columns(string path, IReadOnlyList<string> paths)
    {
        string[] found = [.. paths.Where(leaf => Keys.Contains(leaf.Split('.')[0]))];
        return found.Length > 0 ? found : throw new UserException($"{path} has no preferences; it needs the columns chosen and rejected, "
            + $"with or without prompt, or prompt, completion and label, and has {string.Join(", ", paths.Take(20))}");
    }
}
