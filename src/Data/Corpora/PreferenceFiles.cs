using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Parquet;

namespace Trainer.Data.Corpora;

/// <summary>JSON lines or Parquet with a preference each: read as conversations, the chosen one and then the rejected one.</summary>
internal sealed class PreferenceFiles : ConversationCorpus
{
    private readonly SourceFiles files;

    private PreferenceFiles(SourceFiles files, double weight)
    {
        this.files = files;
        Weight = weight;
    }

    public override string Name => files.Name;

    public override IReadOnlyList<string> Files => files.Files;

    public override string Reading => $"preferences in {files.Format.Name}";

    public override IEnumerable<Conversation> Conversations() => Records().SelectMany(record => record.OfType<Conversation>());

    /// <summary>Two of each record; null for an answer that the record does not have.</summary>
    internal override IEnumerable<IReadOnlyList<Conversation?>> Records() =>
        files.Files.SelectMany(file => files.Format.Format == SourceFormat.Parquet
            ? ParquetPreferences.Read(file, Pair) : ConversationLines.Read(file, Pair));

    private static Conversation?[] Pair(Conversation place, JsonElement record)
    {
        var (chosen, rejected) = PreferenceShapes.Read(record);
        return [With(chosen), With(rejected)];

        Conversation? With(IReadOnlyList<ChatMessage>? messages) => messages is null ? null : place with { Messages = messages };
    }

    /// <summary>Finds the files, to be read later. <paramref name="at"/> is the path in the recipe; empty on the command line.</summary>
    public static PreferenceFiles Open(SourceOptions source, string at)
    {
        var place = at.Length == 0 ? "" : $"{at}.path: ";
        var files = SourceFiles.Find(source.Path!, null, place);
        return files.Format.Format is SourceFormat.JsonLines or SourceFormat.Parquet ? new PreferenceFiles(files, source.Weight ?? 1)
            : throw new UserException($"{place}\"{source.Path}\" is read as {files.Format.Name}, and format \"preferences\" has JSON lines "
                + "(.jsonl) or Parquet (.parquet); name such a file");
    }
}
