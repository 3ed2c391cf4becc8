using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Corpora;

namespace Trainer.Data.Chat;

/// <summary>A conversation to be learned.</summary>
/// <param name="Messages">What was said.</param>
/// <param name="Source">The file it is from, or the name of a source that is none.</param>
/// <param name="Unit">What <paramref name="Number"/> counts: <c>line</c>, <c>row</c> or <c>entry</c>.</param>
/// <param name="Number">From 1.</param>
public sealed record Conversation(IReadOnlyList<ChatMessage> Messages, string Source, string Unit, long Number)
{
    internal const string Field = "conversation";

    /// <summary>What was said, without who says it: what a tokenizer learns from, and what is counted.</summary>
    public string Text => string.Join('\n', Messages.Select(message => message.Content));

    internal TextPiece Piece => new(Text.AsMemory(), StartsDocument: true, Source, Number) { Record = new RecordPlace(Unit, Field, 0) };

    /// <summary>What is wrong with the record, where <paramref name="error"/> is of reading it: of JsonElement if it is no
    /// <see cref="ConversationException"/>.</summary>
    internal UserException Refused(Exception error) => Refused(
        error is ConversationException ? error.Message : "has a text that is not valid Unicode: half of a surrogate pair", error);

    internal UserException Refused(string reason, Exception? inner = null) => new($"{Source}, {Unit} {Number}: {reason}", inner);
}

/// <summary>What is wrong with a record, without its place.</summary>
internal sealed class ConversationException(string message) : Exception(message);

/// <summary>Reads the shapes that conversations come in, each told by its keys: <c>messages</c> of role and content (OpenAI, Hugging Face),
/// <c>conversations</c> of from and value (ShareGPT), <c>instruction</c>, <c>input</c> and <c>output</c> (Alpaca).</summary>
internal static class ConversationShapes
{
    private const string Roles = "system, user, assistant and tool";

    public static IReadOnlyList<ChatMessage> Read(JsonElement record)
    {
        RequireObject(record);
        ChatMessage[] messages =
            record.TryGetProperty("messages", out var messageList) ? OfMessages(messageList, "messages")
            : record.TryGetProperty("conversations", out var turns) ? [.. Items(turns, "conversations").Select(OfShareGpt)]
            : record.TryGetProperty("instruction", out _) ? OfAlpaca(record)
            : throw new ConversationException("has no conversation; it needs messages (role, content), conversations (from, value) or "
                + $"instruction and output, and has {Keys(record)}");
        Check(messages);
        return messages;
    }

    public static void RequireObject(JsonElement record)
    {
        if (record.ValueKind != JsonValueKind.Object)
            throw new ConversationException($"is {Kind(record)}, not an object; each record is one JSON object");
    }

    /// <summary>A list of role and content.</summary>
    public static ChatMessage[] OfMessages(JsonElement list, string at) => [.. Items(list, at).Select(OfOpenAi)];

    /// <summary>A text, which must be one.</summary>
    public static string Text(JsonElement text, string at) => text.ValueKind == JsonValueKind.String
        ? Value(text, at)
        : throw new ConversationException($"{at} is {Kind(text)}, not a text");

    /// <summary>A system turn may come first; users and the assistant alternate, the assistant last. Tools answer an assistant.</summary>
    public static void Check(IReadOnlyList<ChatMessage> messages)
    {
        if (messages.Count == 0)
            throw new ConversationException("has no turns; a conversation needs one of a user and one of the assistant");
        var before = "";
        foreach (var (turn, (role, content)) in messages.Index())
        {
            if (!MayFollow(role, before))
                throw new ConversationException($"turn {turn + 1} is of {role} {(turn == 0 ? "and the first" : $"after one of {before}")}; "
                    + "a turn of system may come first, then user and assistant take turns, and tool answers assistant");
            if (content.Length == 0)
                throw new ConversationException($"turn {turn + 1} (of {role}) is empty; remove the conversation, or give the turn a text");
            before = role;
        }
        if (messages.All(message => message.Role != "assistant"))
            throw new ConversationException("has no turn of assistant, so that there is nothing to learn; add the answer");
        if (before != "assistant")
            throw new ConversationException($"ends with a turn of {before}, which nothing answers; add the answer, or remove the turn");
    }

    private static bool MayFollow(string role, string before) => role switch
    {
        "system" => before.Length == 0,
        "user" => before is "" or "system" or "assistant",
        "assistant" => before is "user" or "tool",
        _ => before is "assistant" or "tool",
    };

    private static ChatMessage OfOpenAi(JsonElement message, string at)
    {
        var role = Text(message, "role", at);
        var calls = message.TryGetProperty("tool_calls", out var list) && list.ValueKind != JsonValueKind.Null
            ? ToolCalls(list, $"{at}.tool_calls") : "";
        var content = message.TryGetProperty("content", out var value) ? Content(value, $"{at}.content") : "";
        return new ChatMessage(
            role is "system" or "user" or "assistant" or "tool" ? role : role == "developer" ? "system"
                : throw UnknownRole($"{at}.role", role, Roles),
            content.Length > 0 && calls.Length > 0 ? $"{content}\n{calls}" : content + calls)
        {
            IsLearned = IsLearned(message, at),
        };
    }

    /// <summary>OpenAI's <c>weight</c>: an assistant's turn of weight 0 is read and not learned.</summary>
    private static bool IsLearned(JsonElement message, string at) =>
        !message.TryGetProperty("weight", out var weight) || (weight.ValueKind, weight.GetRawText()) switch
        {
            (JsonValueKind.Null, _) or (JsonValueKind.Number, "1" or "1.0") => true,
            (JsonValueKind.Number, "0" or "0.0") => false,
            var (_, text) => throw new ConversationException($"{at}.weight is {text}, and must be 0 (read only) or 1 (learned)"),
        };

    private static ChatMessage OfShareGpt(JsonElement turn, string at)
    {
        var from = Text(turn, "from", at);
        var role = from switch
        {
            "human" or "user" => "user",
            "gpt" or "assistant" => "assistant",
            "system" or "tool" => from,
            _ => throw UnknownRole($"{at}.from", from, "human, gpt, system and tool"),
        };
        return new ChatMessage(role, Text(turn, "value", at));
    }

    private static ChatMessage[] OfAlpaca(JsonElement record)
    {
        var input = record.TryGetProperty("input", out var given) && given.ValueKind != JsonValueKind.Null ? Text(record, "input", "") : "";
        var instruction = Text(record, "instruction", "");
        return [new("user", input.Length == 0 ? instruction : $"{instruction}\n\n{input}"), new("assistant", Text(record, "output", ""))];
    }

    /// <summary>A text, null for none, or a list of parts of type text.</summary>
    private static string Content(JsonElement content, string at) => content.ValueKind switch
    {
        JsonValueKind.Null => "",
        JsonValueKind.String => Value(content, at),
        JsonValueKind.Array => string.Concat(content.EnumerateArray().Select((part, index) =>
            part.ValueKind == JsonValueKind.Object && part.TryGetProperty("type", out var type)
                && type.ValueKind == JsonValueKind.String && type.ValueEquals("text")
                ? Text(part, "text", $"{at}.{index}")
                : throw new ConversationException($"{at}.{index} is no part of type text; only text is learned"))),
        _ => throw new ConversationException($"{at} is {Kind(content)}, not a text"),
    };

    /// <summary>As Hermes and Qwen write them: a JSON object each between tags.</summary>
    private static string ToolCalls(JsonElement calls, string at) =>
        string.Join('\n', Items(calls, at).Select((call, path) =>
        {
            var function = call.ValueKind == JsonValueKind.Object && call.TryGetProperty("function", out var inner) ? inner : call;
            var name = Text(function, "name", $"{path}.function");
            var arguments = !function.TryGetProperty("arguments", out var given) ? "{}"
                : given.ValueKind == JsonValueKind.String ? Value(given, $"{path}.function.arguments") : given.GetRawText();
            return $"<tool_call>\n{{\"name\": {JsonSerializer.Serialize(name, Plain)}, \"arguments\": {arguments}}}\n</tool_call>";
        }));

    private static readonly JsonSerializerOptions Plain = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static IEnumerable<(JsonElement Item, string At)> Items(JsonElement list, string at) => list.ValueKind == JsonValueKind.Array
        ? list.EnumerateArray().Select((item, index) => (item, $"{at}.{index}"))
        : throw new ConversationException($"{at} is {Kind(list)}, not a list");

    private static IEnumerable<T> Select<T>(this IEnumerable<(JsonElement Item, string At)> items, Func<JsonElement, string, T> read) =>
        items.Select(item => read(item.Item, item.At));

    private static string Text(JsonElement parent, string key, string at)
    {
        var path = at.Length == 0 ? key : $"{at}.{key}";
        return parent.ValueKind != JsonValueKind.Object ? throw new ConversationException($"{at} is {Kind(parent)}, not an object")
            : !parent.TryGetProperty(key, out var value) ? throw new ConversationException($"{path} is missing")
            : value.ValueKind == JsonValueKind.String ? Value(value, path)
            : throw new ConversationException($"{path} is {Kind(value)}, not a text");
    }

    private static string Value(JsonElement text, string at)
    {
        try
        {
            return text.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw new ConversationException($"{at} is not valid Unicode: {e.Message.TrimEnd('.')}");
        }
    }

    private static ConversationException UnknownRole(string at, string role, string known) =>
        new($"{at} is \"{role}\"; known are {known}");

    public static string Keys(JsonElement record)
    {
        string[] keys = [.. record.EnumerateObject().Select(property => property.Name).Take(20)];
        return keys.Length == 0 ? "no keys" : string.Join(", ", keys);
    }

    private static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => "a list",
        JsonValueKind.Object => "an object",
        JsonValueKind.Number => "a number",
        JsonValueKind.String => "a text",
        JsonValueKind.Null => "null",
        _ => "a boolean",
    };
}
