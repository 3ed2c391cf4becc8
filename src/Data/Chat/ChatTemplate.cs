using System.Globalization;
using System.Text;
using Trainer.Configuration;

namespace Trainer.Data.Chat;

/// <summary>What one side of a conversation says.</summary>
/// <param name="Role">Who: <c>system</c>, <c>user</c> or <c>assistant</c>, and what else a template knows.</param>
/// <param name="Content">The text.</param>
public sealed record ChatMessage(string Role, string Content)
{
    /// <summary>Whether an assistant's turn is learned in training; OpenAI's <c>weight</c> of 0 says no.</summary>
    public bool IsLearned { get; init; } = true;
}

/// <summary>A template refuses messages by its raise_exception: the roles do not alternate, for instance.</summary>
public sealed class ChatMessagesException(string message) : UserException(message);

/// <summary>Writes a conversation as the text that a model was trained on, by the Jinja template of a Hugging Face checkpoint. Threads can
/// share it.</summary>
/// <remarks>The text contains the special tokens, the beginning of text as well, if the template writes it: encode it without adding
/// any. <see cref="ConversationEncoder.EncodePrompt"/> does so, and takes special tokens within a message for text.</remarks>
public sealed class ChatTemplate
{
    private readonly JinjaTemplate template;
    private readonly TimeProvider clock;

    /// <summary>Parses a template.</summary>
    /// <param name="template">In Jinja.</param>
    /// <param name="bosToken">The token at the beginning of text; null for none.</param>
    /// <param name="eosToken">The token at the end of text; null for none.</param>
    /// <param name="clock">Today, for templates that mention it.</param>
    /// <exception cref="UserException">The template is not valid, or needs what is not supported; the message names the line.</exception>
    public ChatTemplate(string template, string? bosToken = null, string? eosToken = null, TimeProvider? clock = null)
    {
        this.template = new(template);
        this.clock = clock ?? TimeProvider.System;
        (Source, BosToken, EosToken) = (template, bosToken, eosToken);
    }

    /// <summary>The template in Jinja.</summary>
    public string Source { get; }

    /// <summary>The token at the beginning of text.</summary>
    public string? BosToken { get; }

    /// <summary>The token at the end of text, which usually ends what an assistant says.</summary>
    public string? EosToken { get; }

    /// <summary>The text of a conversation.</summary>
    /// <param name="messages">What was said.</param>
    /// <param name="addGenerationPrompt">Whether it ends with what begins the assistant's answer.</param>
    /// <exception cref="ChatMessagesException">The template refuses the messages.</exception>
    /// <exception cref="UserException">The template fails, or exceeds a limit; the message names the line.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt) =>
        template.Render(Variables(messages, addGenerationPrompt));

    /// <summary>The text of a conversation with a sign before and behind what stands in <c>{% generation %}</c>.</summary>
    internal string RenderMarked(IReadOnlyList<ChatMessage> messages, char begin, char end) =>
        template.Render(Variables(messages, addGenerationPrompt: false), (begin, end));

    /// <summary>Whether the template says by <c>{% generation %}</c> what an assistant writes.</summary>
    internal bool HasGeneration => template.HasGeneration;

    private Dictionary<string, object?> Variables(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        Dictionary<string, object?> variables = new()
        {
            ["messages"] = new JinjaList(ListKind.List, messages.Select(
                message => new JinjaDict { ["role"] = message.Role, ["content"] = message.Content })),
            ["add_generation_prompt"] = addGenerationPrompt,
            ["tools"] = null,
            ["documents"] = null,
            ["raise_exception"] = new JinjaFunction(
                arguments => throw new ChatMessagesException(
                    arguments.Require("message") as string ?? "the chat template refuses these messages")),
            ["strftime_now"] = new JinjaFunction(
                arguments => Format(clock.GetLocalNow(), Python.ToText(arguments.Require("format"), "a format of time"))),
        };
        // As in transformers, what a tokenizer does not have is undefined rather than none.
        if (BosToken is not null) variables["bos_token"] = BosToken;
        if (EosToken is not null) variables["eos_token"] = EosToken;
        return variables;
    }

    /// <summary>Python's strftime.</summary>
    internal static string Format(DateTimeOffset time, string format)
    {
        StringBuilder result = new();
        for (int i = 0; i < format.Length; i++)
        {
            if (format[i] != '%' || i + 1 == format.Length)
            {
                result.Append(format[i]);
                continue;
            }
            char directive = format[++i];
            bool isUnpadded = directive == '-' && i + 1 < format.Length;
            if (isUnpadded) directive = format[++i];
            string text = directive switch
            {
                'Y' => time.ToString("yyyy", CultureInfo.InvariantCulture),
                'y' => time.ToString("yy", CultureInfo.InvariantCulture),
                'm' => time.ToString("MM", CultureInfo.InvariantCulture),
                'd' => time.ToString("dd", CultureInfo.InvariantCulture),
                'B' => time.ToString("MMMM", CultureInfo.InvariantCulture),
                'b' => time.ToString("MMM", CultureInfo.InvariantCulture),
                'A' => time.ToString("dddd", CultureInfo.InvariantCulture),
                'a' => time.ToString("ddd", CultureInfo.InvariantCulture),
                'H' => time.ToString("HH", CultureInfo.InvariantCulture),
                'I' => time.ToString("hh", CultureInfo.InvariantCulture),
                'M' => time.ToString("mm", CultureInfo.InvariantCulture),
                'S' => time.ToString("ss", CultureInfo.InvariantCulture),
                'p' => time.ToString("tt", CultureInfo.InvariantCulture),
                'j' => $"{time.DayOfYear:000}",
                '%' => "%",
                _ => throw new JinjaException($"the time format %{directive} is not supported"),
            };
            result.Append(isUnpadded ? text.TrimStart('0').PadLeft(1, '0') : text);
        }
        return result.ToString();
    }
}
