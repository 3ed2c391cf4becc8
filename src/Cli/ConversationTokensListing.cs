using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

/// <summary>Shows the tokens of conversations, which are learned, and in which rows they are.</summary>
internal sealed class ConversationTokensListing(
    ConversationTemplate template, Tokenizer tokenizer, ConversationOptions options, int? context, bool json)
{
    private static readonly JsonSerializerOptions Readable = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private readonly ConversationEncoder encoder = new(template, tokenizer, options.Learn);

    internal void Show(IReadOnlyList<Conversation> conversations)
    {
        ConversationTokens[] encoded = [.. conversations.Select(encoder.Encode)];
        foreach (var (conversation, tokens) in conversations.Zip(encoded))
            Show(conversation, tokens);
        if (context is { } length)
            Show(conversations, encoded, length);
    }

    private void Show(Conversation conversation, ConversationTokens tokens)
    {
        string[] texts = [.. tokens.Ids.Select(id => Encoding.UTF8.GetString(tokenizer.TokenBytes(id)))];
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(
                new { conversation.Source, conversation.Number, tokens.Ids, tokens.Learned, Tokens = texts }, Readable));
            return;
        }
        Console.WriteLine($"{Place(conversation)}: {HumanFormat.Counted(tokens.Ids.Length, "token")}, "
            + $"{HumanFormat.Number(tokens.Learned.Count(learned => learned))} learned");
        foreach (var (index, text) in texts.Index())
        {
            var line = $"{(tokens.Learned[index] ? '*' : ' ')}{index,7}{tokens.Ids[index],8}  {JsonSerializer.Serialize(text, Readable)}";
            Console.WriteLine(tokens.Learned[index] ? ConversationListing.Coloured(line) : line);
        }
        Console.WriteLine();
    }

    private void Show(IReadOnlyList<Conversation> conversations, ConversationTokens[] encoded, int length)
    {
        var rows = ConversationRows.Pack(encoded, tokenizer.VocabularySize, length, options.Truncation).Rows;
        var lost = Lost(encoded, rows);
        var isOneFile = conversations.DistinctBy(conversation => conversation.Source).Count() == 1;
        string Short(int index)
        {
            var (_, source, unit, number) = conversations[index];
            return isOneFile ? $"{unit} {number}" : $"{Path.GetFileName(source)} {unit} {number}";
        }
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(new { Context = length, options.Truncation, rows, lost }, Readable));
            return;
        }
        Console.WriteLine($"rows of {HumanFormat.Counted(length, "token")}: {HumanFormat.Counted(rows.Count, "row")}, "
            + $"{HumanFormat.Number(rows.Sum(row => (long)length - row.Sum(part => part.Length)))} of padding");
        foreach (var (index, row) in rows.Index())
            Console.WriteLine($"  {index + 1,4}  " + string.Join("; ", row.Select(part =>
                $"{Short(part.Conversation)} {part.Start}–{part.Start + part.Length - 1}")));
        foreach (var cut in lost)
            Console.WriteLine($"  {Short(cut.Conversation)}: "
                + (cut.Tokens == encoded[cut.Conversation].Ids.Length ? "dropped" : $"{HumanFormat.Counted(cut.Tokens, "token")} cut")
                + $", {HumanFormat.Number(cut.Learned)} learned (truncation {Name(options.Truncation)})");
    }

    /// <summary>What no row has, of conversations that lose something.</summary>
    private static CutConversation[] Lost(ConversationTokens[] encoded, IReadOnlyList<IReadOnlyList<ConversationRowPart>> rows)
    {
        bool[][] kept = [.. encoded.Select(tokens => new bool[tokens.Ids.Length])];
        foreach (var part in rows.SelectMany(row => row))
            kept[part.Conversation].AsSpan(part.Start, part.Length).Fill(true);
        return [.. kept.Select((tokens, index) => new CutConversation(index, tokens.Count(token => !token),
            tokens.Zip(encoded[index].Learned).Count(token => !token.First && token.Second))).Where(cut => cut.Tokens > 0)];
    }

    private static string Place(Conversation conversation) => $"{conversation.Source}, {conversation.Unit} {conversation.Number}";

    private static string Name(ConversationTruncation truncation) => truncation.ToString().ToLowerInvariant();

    private sealed record CutConversation(int Conversation, int Tokens, int Learned);
}
