using System.Text.Encodings.Web;
using System.Text.Json;
using Trainer.Data;
using Trainer.Data.Chat;

namespace Trainer.Cli;

/// <summary>Shows conversations as they are learned: in colour on a terminal, else between [[ and ]].</summary>
internal sealed class ConversationListing(ConversationTemplate template, bool json)
{
    private static readonly JsonSerializerOptions Readable = new(JsonSerializerDefaults.Web)
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly bool HasColour =
        !Console.IsOutputRedirected && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")); // no-color.org

    // Green, and back to the colour before.
    private static readonly (string Begin, string End) Marks = HasColour ? ("\e[32m", "\e[39m") : ("[[", "]]");

    /// <summary>A line of what is learned, which says so without colour.</summary>
    internal static string Coloured(string line) => HasColour ? $"{Marks.Begin}{line}{Marks.End}" : line;

    internal void Show(Conversation conversation)
    {
        var parts = template.Parts(conversation, LearnedTurns.Assistant);
        if (json)
        {
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                conversation.Source,
                conversation.Number,
                Messages = conversation.Messages.Select(message => new { message.Role, message.Content }),
                parts,
            }, Readable));
            return;
        }
        Console.WriteLine($"{conversation.Source}, {conversation.Unit} {conversation.Number}");
        foreach (var part in parts)
            Console.Write(part.Learned ? $"{Marks.Begin}{part.Text}{Marks.End}" : part.Text);
        Console.WriteLine();
        Console.WriteLine();
    }
}
