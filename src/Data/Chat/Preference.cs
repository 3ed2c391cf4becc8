using System.Text.Json;

namespace Trainer.Data.Chat;

/// <summary>Two answers to the same prompt, of which one is preferred, each with the prompt before it; or one answer that was judged alone,
/// and null for the other.</summary>
internal sealed record Preference(IReadOnlyList<ChatMessage>? Chosen, IReadOnlyList<ChatMessage>? Rejected);

/// <summary>Reads the shapes that preferences come in (those of TRL), each told by its keys: <c>prompt</c>, <c>chosen</c> and
/// <c>rejected</c>; <c>chosen</c> and <c>rejected</c> alone, whole conversations that begin alike; <c>prompt</c>, <c>completion</c> and
/// <c>label</c>. Each part is a text, that of one turn, or a list of messages.</summary>
internal static class PreferenceShapes
{
    public static Preference Read(JsonElement record)
    {
        ConversationShapes.RequireObject(record);
        var hasPrompt = record.TryGetProperty("prompt", out var asked);
        if (hasPrompt && record.TryGetProperty("completion", out var answer))
            return Judged(Part(asked, "prompt", "user"), Part(answer, "completion", "assistant"), Label(record));
        if (!record.TryGetProperty("chosen", out var better) || !record.TryGetProperty("rejected", out var worse))
            throw new ConversationException("has no preference; it needs chosen and rejected, with or without prompt, or prompt, "
                + $"completion and label, and has {ConversationShapes.Keys(record)}");
        var (chosen, rejected) = (Part(better, "chosen", "assistant"), Part(worse, "rejected", "assistant"));
        var prompt = hasPrompt ? Part(asked, "prompt", "user") : [];
        if (!hasPrompt)
        {
            prompt = [.. chosen.Zip(rejected).TakeWhile(turns => turns.First == turns.Second).Select(turns => turns.First)];
            (chosen, rejected) = (chosen[prompt.Length..], rejected[prompt.Length..]);
        }
        if (chosen.SequenceEqual(rejected))
            throw new ConversationException("has the same text as chosen and as rejected, so that neither is preferred; remove it");
        return new Preference(Whole(prompt, chosen, "chosen"), Whole(prompt, rejected, "rejected"));
    }

    private static Preference Judged(ChatMessage[] prompt, ChatMessage[] answer, bool isGood)
    {
        var whole = Whole(prompt, answer, "completion");
        return isGood ? new Preference(whole, null) : new Preference(null, whole);
    }

    /// <summary>Only the answer is learned.</summary>
    private static ChatMessage[] Whole(ChatMessage[] prompt, ChatMessage[] answer, string key)
    {
        ChatMessage[] whole = [.. prompt.Select(message => message with { IsLearned = false }), .. answer];
        try
        {
            if (answer.Length == 0)
                throw new ConversationException("has no turn behind the prompt; give the answer");
            ConversationShapes.Check(whole);
        }
        catch (ConversationException e)
        {
            throw new ConversationException($"{key}: {e.Message}");
        }
        return whole;
    }

    private static ChatMessage[] Part(JsonElement part, string key, string role) => part.ValueKind == JsonValueKind.Array
        ? ConversationShapes.OfMessages(part, key)
        : [new ChatMessage(role, ConversationShapes.Text(part, key))];

    private static bool Label(JsonElement record) =>
        !record.TryGetProperty("label", out var label)
            ? throw new ConversationException("label is missing; true says that the completion is good, false that it is not")
        : (label.ValueKind, label.GetRawText()) switch
        {
            (JsonValueKind.True, _) or (JsonValueKind.Number, "1") => true,
            (JsonValueKind.False, _) or (JsonValueKind.Number, "0") => false,
            var (_, text) => throw new ConversationException($"label is {text}, and must be true or false"),
        };
}
