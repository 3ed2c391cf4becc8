using System.Text.RegularExpressions;
using Trainer.Data.Chat;

namespace Trainer.Data.Corpora;

/// <summary>The corpus <c>dotnet-docs-chat</c>: questions on the API documentation of <see cref="DotnetDocs"/>, a conversation for each type
/// and member, answered by what stands there. Entries without a summary ask nothing.</summary>
internal sealed partial class DotnetDocsChat : ConversationCorpus
{
    private const int MaxCharacters = 1 << 20;

    private readonly DotnetDocs docs;

    private DotnetDocsChat(DotnetDocs docs)
    {
        this.docs = docs;
        Weight = docs.Weight;
    }

    public override string Name => "dotnet-docs-chat";

    public override IReadOnlyList<string> Files => docs.Files;

    public override string Reading => "conversations on documentation";

    public static DotnetDocsChat Open(string folder, IProgress<string>? progress, double weight) =>
        new(DotnetDocs.Open(folder, progress, weight));

    public override IEnumerable<Conversation> Conversations() => WholeDocuments.Of(docs.Read(), MaxCharacters)
        .Select((entry, index) => new Conversation(Questions(entry!), Name, "entry", index + 1))
        .Where(conversation => conversation.Messages.Count > 0);

    /// <summary>The first lines, without a label, say what it is; later ones of one label are one answer.</summary>
    internal static IReadOnlyList<ChatMessage> Questions(string entry)
    {
        string[] lines = entry.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length < 2 || Labelled().IsMatch(lines[1]))
            return [];
        var (subject, asked) = (lines[0], new List<(string Question, string Answer)>());
        foreach (var line in lines[1..])
        {
            var label = Labelled().Match(line);
            var question = label.Success ? About(label.Groups[1].Value)
                : $"What {(subject.Contains('(') ? "does" : "is")} {subject}{(subject.Contains('(') ? " do" : "")}?";
            var answer = line[label.Length..];
            if (asked.Count > 0 && asked[^1].Question == question)
                asked[^1] = (question, $"{asked[^1].Answer} {answer}");
            else
                asked.Add((question, answer));
        }
        return [.. asked.SelectMany(turn => new ChatMessage[] { new("user", turn.Question), new("assistant", turn.Answer) })];
    }

    private static string About(string label) => label switch
    {
        "Returns" => "What does it return?",
        "Value" => "What is its value?",
        "Remarks" => "What else is there to know?",
        _ when label.StartsWith("Throws ", StringComparison.Ordinal) => $"When does it throw {label["Throws ".Length..]}?",
        _ => $"What is {label}?",
    };

    [GeneratedRegex(@"^(Throws \S[^:]*|\w+): ")]
    private static partial Regex Labelled();
}
