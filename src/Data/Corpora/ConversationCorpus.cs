using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Parquet;

namespace Trainer.Data.Corpora;

/// <summary>Conversations; read as texts, they are what is said in them.</summary>
public abstract class ConversationCorpus : Corpus
{
    /// <summary>Reads the conversations; throws where a record is none.</summary>
    public abstract IEnumerable<Conversation> Conversations();

    /// <summary>The same by records, each of which stays whole where data is divided; null for one that a record does not have.</summary>
    internal virtual IEnumerable<IReadOnlyList<Conversation?>> Records() =>
        Conversations().Select(conversation => (Conversation?[])[conversation]);

    /// <inheritdoc/>
    public sealed override IEnumerable<TextPiece> Read() => Conversations().Select(conversation => conversation.Piece);
}

/// <summary>Files of JSON lines or Parquet with a conversation in each record, or a preference: the chosen one and then the rejected one.
/// </summary>
internal sealed class ConversationFiles : ConversationCorpus
{
    private readonly SourceFiles files;
    private readonly bool prefers;

    private ConversationFiles(SourceFiles files, bool prefers, double weight)
    {
        (this.files, this.prefers) = (files, prefers);
        Weight = weight;
    }

    public override string Name => files.Name;

    public override IReadOnlyList<string> Files => files.Files;

    public override string Reading => $"{(prefers ? "preferences" : "conversations")} in {files.Format.Name}";

    public override IEnumerable<Conversation> Conversations() => Records().SelectMany(record => record.OfType<Conversation>());

    internal override IEnumerable<IReadOnlyList<Conversation?>> Records() => files.Files.SelectMany(file =>
        files.Format.Format == SourceFormat.Parquet ? ParquetConversations.Read(file, prefers, Of) : ConversationLines.Read(file, Of));

    private Conversation?[] Of(Conversation place, JsonElement record)
    {
        if (!prefers)
            return [place with { Messages = ConversationShapes.Read(record) }];
        var (chosen, rejected) = PreferenceShapes.Read(record);
        return [With(chosen), With(rejected)];

        Conversation? With(IReadOnlyList<ChatMessage>? messages) => messages is null ? null : place with { Messages = messages };
    }

    /// <summary>Finds the files, to be read later. <paramref name="at"/> is the path in the recipe; empty on the command line.</summary>
    public static ConversationFiles Open(SourceOptions source, string at)
    {
        var (place, prefers) = (at.Length == 0 ? "" : $"{at}.path: ", source.Format == SourceFormat.Preferences);
        var files = SourceFiles.Find(source.Path!, null, place);
        return files.Format.Format is SourceFormat.JsonLines or SourceFormat.Parquet
            ? new ConversationFiles(files, prefers, source.Weight ?? 1)
            : throw new UserException($"{place}\"{source.Path}\" is read as {files.Format.Name}, and format "
                + $"{(prefers ? "\"preferences\" has" : "\"chat\" has conversations in")} JSON lines (.jsonl) or Parquet (.parquet); "
                + "name such a file");
    }
}

/// <summary>JSON lines with a record each, read by its caller; blank lines are skipped.</summary>
internal static class ConversationLines
{
    private const string Unit = "line";

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = 512 };

    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    public static IEnumerable<T> Read<T>(string path, Func<Conversation, JsonElement, T> read)
    {
        using var stream = SourceStream.Open(path);
        var lines = new LineBuffer(stream, path);
        while (lines.Next())
        {
            var line = lines.Line;
            if (lines.Number == 1 && line.Span.StartsWith(ByteOrderMark))
                line = line[ByteOrderMark.Length..];
            if (!line.Span.Trim(" \t\r"u8).IsEmpty)
                yield return Read(new Conversation([], path, Unit, lines.Number), line, read);
        }
    }

    private static T Read<T>(Conversation place, ReadOnlyMemory<byte> line, Func<Conversation, JsonElement, T> read)
    {
        try
        {
            using var record = JsonDocument.Parse(line, Options);
            return read(place, record.RootElement);
        }
        catch (Exception e) when (e is ConversationException or InvalidOperationException)
        {
            throw place.Refused(e);
        }
        catch (JsonException e)
        {
            throw place.Refused($"is not valid JSON: {e.Message.Split(" LineNumber:")[0].TrimEnd('.')}; each line must be one whole JSON "
                + "object", e);
        }
    }
}
