using System.Globalization;
using Trainer.Data.Chat;

namespace Trainer.Data.Corpora;

/// <summary>The corpus <c>dotnet-docs-preferences</c>: the first question on each type and member of <see cref="DotnetDocsChat"/>, answered
/// by what stands there (chosen) and by what stands at the entry before it (rejected), which is mostly of the same type. One entry of ten is
/// asked about: what is preferred takes less to learn than what is known.</summary>
internal sealed class DotnetDocsPreferences : ConversationCorpus
{
    private const int Every = 10;

    private readonly DotnetDocsChat questions;
    private readonly long? most;

    private DotnetDocsPreferences(DotnetDocsChat questions, long? most)
    {
        (this.questions, this.most) = (questions, most);
        Weight = questions.Weight;
    }

    public override string Name => "dotnet-docs-preferences";

    public override IReadOnlyList<string> Files => questions.Files;

    public override string Reading => $"{most?.ToString(CultureInfo.InvariantCulture) ?? "all"} preferences on documentation";

    public static DotnetDocsPreferences Open(SourceOptions source, string folder, IProgress<string>? progress) =>
        new(DotnetDocsChat.Open(folder, progress, source.Weight ?? 1), source.Examples);

    public override IEnumerable<Conversation> Conversations() => Records().SelectMany(record => record.OfType<Conversation>());

    internal override IEnumerable<IReadOnlyList<Conversation?>> Records()
    {
        ChatMessage? before = null;
        var left = most ?? long.MaxValue;
        foreach (var (index, conversation) in questions.Conversations().Index())
        {
            var (question, answer) = (conversation.Messages[0], conversation.Messages[1]);
            if (index % Every == 0 && before is not null && before != answer)
            {
                if (left-- == 0)
                    yield break;
                yield return
                [
                    conversation with { Messages = [question, answer], Source = Name },
                    conversation with { Messages = [question, before], Source = Name },
                ];
            }
            before = answer;
        }
    }
}
