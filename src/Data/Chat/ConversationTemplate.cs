using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Configuration;

namespace Trainer.Data.Chat;

/// <summary>The template that conversations are learned with: one by name, or that of a model of Hugging Face. Threads can share it.</summary>
public sealed class ConversationTemplate
{
    private readonly ChatTemplate? marked;   // the known template that writes the same and says what is learned

    private ConversationTemplate(string name, string source, ChatTemplate template, ChatTemplate? marked,
        IReadOnlyList<string> specialTokens) =>
        (Name, Source, Template, this.marked, SpecialTokens) = (name, source, template, marked, specialTokens);

    /// <summary>Its name, or the path of its file.</summary>
    public string Name { get; }

    /// <summary>The template of a recipe's conversations; null where it has none.</summary>
    /// <exception cref="UserException">As <see cref="Open"/> throws.</exception>
    public static ConversationTemplate? Of(DataOptions data) => data.UsesTemplate ? Open(data.Conversations) : null;

    /// <summary>The template in Jinja, as it is kept with a checkpoint.</summary>
    public string Source { get; }

    /// <summary>The template, ready to render.</summary>
    public ChatTemplate Template { get; }

    /// <summary>The token at the beginning of a conversation; null for none.</summary>
    public string? BosToken => Template.BosToken;

    /// <summary>The token that ends what an assistant says.</summary>
    public string? EosToken => Template.EosToken;

    /// <summary>Tokens that the template writes, which a tokenizer must have.</summary>
    public IReadOnlyList<string> SpecialTokens { get; }

    /// <summary>All that encoded conversations depend on.</summary>
    internal string Identity => JsonSerializer.Serialize(new[] { Source, BosToken, EosToken });

    /// <summary>Opens the template of a recipe.</summary>
    /// <exception cref="UserException">A file cannot be read, has no template, or has one that does not say what is learned.</exception>
    public static ConversationTemplate Open(ConversationOptions options)
    {
        if (KnownChatTemplate.Find(options.Template) is not { } known)
            return OfFile(options);
        var template = new ChatTemplate(known.Source, known.BosToken, known.EosToken);
        return new ConversationTemplate(known.Name, known.WithoutMarks, template, template, known.SpecialTokens);
    }

    private static ConversationTemplate OfFile(ConversationOptions options)
    {
        var path = options.Template;
        var (source, bos, eos) = Read(path);
        var template = new ChatTemplate(source, bos, eos);
        if (template.HasGeneration)
            return new ConversationTemplate(path, source, template, template, [.. new[] { bos, eos }.OfType<string>()]);
        var known = KnownChatTemplate.All.FirstOrDefault(known => WritesTheSame(template, Marked(known, bos, eos)));
        if (known is null && options.Learn != LearnedTurns.All)
            throw new UserException($"data.chat.template: the chat_template of {path} has no {{% generation %}}, which says what an "
                + $"assistant writes, and is none of {string.Join(", ", KnownChatTemplate.Names)}; put the assistant's turn between "
                + "{% generation %} and {% endgeneration %}, or set data.chat.learn to \"all\"");
        return new ConversationTemplate(path, source, template, known is null ? null : Marked(known, bos, eos),
            known?.SpecialTokens.Select(token => token == known.BosToken ? bos ?? token : token == "</s>" ? eos ?? token : token).ToArray()
            ?? [.. new[] { bos, eos }.OfType<string>()]);
    }

    private static ChatTemplate Marked(KnownChatTemplate known, string? bos, string? eos) => new(known.Source, bos, eos);

    private static (string Source, string? Bos, string? Eos) Read(string path)
    {
        try
        {
            var json = JsonNode.Parse(File.ReadAllBytes(path), documentOptions: new() { AllowDuplicateProperties = false }) as JsonObject
                ?? throw new UserException($"data.chat.template: {path} holds no JSON object; name a tokenizer_config.json");
            return Text(json["chat_template"]) is { } source
                ? (source, Text(json["bos_token"]), Text(json["eos_token"]))
                : throw new UserException($"data.chat.template: {path} has no chat_template, or several; name a tokenizer_config.json with "
                    + $"one, or one of {string.Join(", ", KnownChatTemplate.Names)}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new UserException($"data.chat.template: {path} cannot be read: {e.Message.TrimEnd('.')}; give the path of a "
                + $"tokenizer_config.json, or one of {string.Join(", ", KnownChatTemplate.Names)}", e);
        }
    }

    /// <summary>A text, or an object with settings and a text as content.</summary>
    private static string? Text(JsonNode? node) => node switch
    {
        JsonObject settings => Text(settings["content"]),
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        _ => null,
    };

    private static bool WritesTheSame(ChatTemplate one, ChatTemplate other)
    {
        ChatMessage[] talk = [new("user", " a\n"), new("assistant", "b "), new("user", "c"), new("assistant", " d")];
        ChatMessage[][] probes = [talk, talk[..1], talk[..3], [new("system", " s "), .. talk]];
        return probes.All(probe => Outcome(one, probe) is var text && text == Outcome(other, probe) && (probe != talk || text is not null));
    }

    private static string? Outcome(ChatTemplate template, IReadOnlyList<ChatMessage> messages)
    {
        try
        {
            return template.Render(messages, addGenerationPrompt: messages[^1].Role == "user");
        }
        catch (UserException)
        {
            return null;
        }
    }

    /// <summary>A conversation as text, divided into what is learned and what is not.</summary>
    /// <exception cref="UserException">The template refuses the conversation; the message names its place.</exception>
    public IReadOnlyList<ConversationPart> Parts(Conversation conversation, LearnedTurns learn)
    {
        var rendered = Render(conversation, SpecialTokens);
        List<ConversationPart> parts = [];
        var at = 0;
        foreach (var (start, end) in rendered.Learned(conversation, learn))
        {
            if (at < start)
                parts.Add(new(rendered.Text[at..start], Learned: false));
            parts.Add(new(rendered.Text[start..end], Learned: true));
            at = end;
        }
        if (at < rendered.Text.Length)
            parts.Add(new(rendered.Text[at..], Learned: false));
        return parts;
    }

    /// <summary>Writes a conversation. Special tokens within what is said are only text: <see cref="RenderedConversation.Plain"/> has
    /// where they stand, for those of <paramref name="specialTokens"/>.</summary>
    /// <exception cref="UserException">The template refuses the conversation; the message names its place.</exception>
    internal RenderedConversation Render(Conversation conversation, IReadOnlyList<string> specialTokens)
    {
        if (ConversationSigns.For(conversation.Messages, Source, specialTokens) is not { } signs)
            throw conversation.Refused("it uses all of Unicode's private characters, of which some are needed; remove some");
        var messages = signs.Hide(conversation.Messages, specialTokens);
        try
        {
            if (marked is null)
                return RenderedConversation.Of(Template.Render(messages, addGenerationPrompt: false), signs);
            var rendered = RenderedConversation.Of(marked.RenderMarked(messages, signs.Begin, signs.End), signs);
            if (marked != Template
                && RenderedConversation.Of(Template.Render(messages, addGenerationPrompt: false), signs).Text != rendered.Text)
                throw conversation.Refused($"the template of {Name} writes it unlike the known one that it seemed to be, so that what is "
                    + "learned is not known; put the assistant's turn between {% generation %} and {% endgeneration %} in the template");
            return rendered;
        }
        catch (ChatMessagesException e)
        {
            throw conversation.Refused($"the chat template \"{Name}\" refuses it: {e.Message}", e);
        }
        catch (UserException e) when (e.InnerException is JinjaException or OverflowException or InsufficientExecutionStackException)
        {
            throw conversation.Refused($"the chat template \"{Name}\" fails: {e.Message}", e);
        }
    }
}

/// <summary>A part of a conversation's text, and whether it is learned.</summary>
public sealed record ConversationPart(string Text, bool Learned);

/// <summary>A conversation as text. <c>Answers</c> are what an assistant writes; at <c>Plain</c> begin special tokens that are only text.
/// </summary>
internal sealed record RenderedConversation(string Text, IReadOnlyList<(int Start, int End)> Answers, IReadOnlySet<int> Plain)
{
    public static RenderedConversation Of(string text, ConversationSigns signs)
    {
        var shown = signs.Hidden.ToDictionary(pair => pair.Value, pair => pair.Key);
        var written = new StringBuilder(text.Length);
        var answers = new List<(int, int)>();
        var plain = new HashSet<int>();
        var start = 0;
        foreach (var c in text)
            if (c == signs.Begin)
                start = written.Length;
            else if (c == signs.End)
                answers.Add((start, written.Length));
            else
            {
                var isHidden = shown.TryGetValue(c, out var original);
                if (isHidden)
                    plain.Add(written.Length);
                written.Append(isHidden ? original : c);
            }
        return new RenderedConversation(written.ToString(), answers, plain);
    }

    /// <summary>What of it is learned. Answers of weight 0 are not, where each turn of the assistant is an answer.</summary>
    public IReadOnlyList<(int Start, int End)> Learned(Conversation conversation, LearnedTurns learn)
    {
        if (learn == LearnedTurns.All)
            return [(0, Text.Length)];
        ChatMessage[] turns = [.. conversation.Messages.Where(message => message.Role == "assistant")];
        if (Answers.Count == 0)
            throw conversation.Refused("the chat template marks nothing of it as the assistant's, so that there is nothing to learn");
        if (turns.Length != Answers.Count && turns.Any(turn => !turn.IsLearned))
            throw conversation.Refused($"it has turns of weight 0, and the chat template makes {Answers.Count} answers of its "
                + $"{turns.Length} turns of assistant; remove weight, or use a template with an answer for each");
        return [.. Answers.Index().Where(answer => learn != LearnedTurns.Last || answer.Index == Answers.Count - 1)
            .Where(answer => turns.Length != Answers.Count || turns[answer.Index].IsLearned).Select(answer => answer.Item)];
    }
}
