using System.Buffers;
using System.Text;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Chat;

/// <summary>The tokens of a conversation, and which of them are learned.</summary>
public sealed record ConversationTokens(int[] Ids, bool[] Learned);

/// <summary>Turns conversations into tokens, those that transformers' <c>apply_chat_template</c> gives, except that special tokens within
/// what is said are only text. Threads can share it.</summary>
public sealed class ConversationEncoder
{
    private readonly ConversationTemplate template;
    private readonly Tokenizer tokenizer;
    private readonly LearnedTurns learn;
    private readonly IReadOnlyList<string> specialTokens;

    /// <summary>Checks that the tokenizer has the template's tokens.</summary>
    /// <exception cref="UserException">It lacks one.</exception>
    public ConversationEncoder(ConversationTemplate template, Tokenizer tokenizer, LearnedTurns learn)
    {
        string[] missing = [.. template.SpecialTokens.Where(token => tokenizer.TokenId(token) is null)];
        if (missing.Length > 0)
            throw new UserException($"data.chat.template \"{template.Name}\" needs the tokens {string.Join(", ", missing)}, and the "
                + $"tokenizer ({tokenizer.Type}) has none such; use type \"byte\" or \"bpe\", which get them, a tokenizer.json that has "
                + "them, or another template");
        (this.template, this.tokenizer, this.learn) = (template, tokenizer, learn);
        specialTokens = [.. tokenizer.SpecialTokenNames.Union(template.SpecialTokens)];
    }

    /// <summary>The tokens of a conversation that an assistant is to continue, encoded as in training.</summary>
    /// <exception cref="ChatMessagesException">The template refuses the messages.</exception>
    /// <exception cref="EncodingException">The tokenizer cannot encode them.</exception>
    /// <exception cref="UserException">The template fails, or the messages use all private characters of Unicode.</exception>
    public static int[] EncodePrompt(ChatTemplate template, Tokenizer tokenizer, IReadOnlyList<ChatMessage> messages)
    {
        var names = tokenizer.SpecialTokenNames;
        var signs = ConversationSigns.For(messages, template.Source, names)
            ?? throw new UserException("the messages use all of Unicode's private characters, of which some are needed; remove some");
        var (text, _, plain) = RenderedConversation.Of(template.Render(signs.Hide(messages, names), addGenerationPrompt: true), signs);
        var ids = new ArrayBufferWriter<int>(Math.Max(16, text.Length));
        foreach (var (start, end, id) in tokenizer.SplitSpecial(text, plain))
            if (id is { } special)
                ids.Write([special]);
            else
                tokenizer.EncodeOrdinary(text.AsSpan(start, end - start), start == 0, ids);
        return ids.WrittenSpan.ToArray();
    }

    /// <summary>The tokens of a whole conversation.</summary>
    /// <exception cref="UserException">The template or the tokenizer refuses it; the message names its place.</exception>
    public ConversationTokens Encode(Conversation conversation)
    {
        var rendered = template.Render(conversation, specialTokens);
        var learned = rendered.Learned(conversation, learn);
        var ids = new ArrayBufferWriter<int>(Math.Max(16, rendered.Text.Length));
        var marks = new List<bool>(rendered.Text.Length);
        try
        {
            foreach (var (start, end, id) in tokenizer.SplitSpecial(rendered.Text, rendered.Plain))
                if (id is { } special)
                {
                    ids.Write([special]);
                    marks.Add(learned.Any(part => part.Start < end && start < part.End));
                }
                else
                {
                    var before = ids.WrittenCount;
                    tokenizer.EncodeOrdinary(rendered.Text.AsSpan(start, end - start), start == 0, ids);
                    Mark(rendered.Text[start..end], start, ids.WrittenSpan[before..], learned, marks);
                }
        }
        catch (EncodingException e)
        {
            throw conversation.Refused(e.Reason, e);
        }
        return new ConversationTokens(ids.WrittenSpan.ToArray(), [.. marks]);
    }

    /// <summary>Marks the tokens of a text. One that is partly the assistant's is learned, as in transformers' assistant masks.</summary>
    private void Mark(string text, int start, ReadOnlySpan<int> ids, IReadOnlyList<(int Start, int End)> learned, List<bool> marks)
    {
        (int Start, int End)[] inside = [.. learned.Where(part => part.Start < start + text.Length && start < part.End)
            .Select(part => (Math.Max(0, part.Start - start), Math.Min(text.Length, part.End - start)))];
        var first = marks.Count;
        for (var i = 0; i < ids.Length; i++)
            marks.Add(inside is [(0, var whole)] && whole == text.Length);
        if (inside.Length == 0 || marks.Count > first && marks[first])
            return;
        var offsets = ByteOffsets(text, ids);
        foreach (var (from, end) in inside)
        {
            var (begins, ends) = offsets is null
                ? (CommonTokens(text, from, start, ids), CommonTokens(text, end, start, ids))
                : (TokenAt(offsets, Encoding.UTF8.GetByteCount(text.AsSpan(0, from))),
                    TokenAt(offsets, Encoding.UTF8.GetByteCount(text.AsSpan(0, end)) - 1) + 1);
            for (var i = begins; i < Math.Max(begins, ends); i++)
                marks[first + i] = true;
        }
    }

    /// <summary>The bytes before each token and behind the last, where the tokens spell out the text; null for tokenizers that change it.
    /// </summary>
    private int[]? ByteOffsets(string text, ReadOnlySpan<int> ids)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var offsets = new int[ids.Length + 1];
        for (var i = 0; i < ids.Length; i++)
        {
            var token = tokenizer.TokenBytes(ids[i]);
            if (!bytes.AsSpan(offsets[i]).StartsWith(token))
                return null;
            offsets[i + 1] = offsets[i] + token.Length;
        }
        return offsets[^1] == bytes.Length ? offsets : null;
    }

    private static int TokenAt(int[] offsets, int at)
    {
        var token = 0;
        while (token < offsets.Length - 2 && offsets[token + 1] <= at)
            token++;
        return token;
    }

    /// <summary>How many tokens the text up to a place shares with the whole.</summary>
    private int CommonTokens(string text, int length, int start, ReadOnlySpan<int> ids)
    {
        var part = new ArrayBufferWriter<int>(Math.Max(16, length));
        tokenizer.EncodeOrdinary(text.AsSpan(0, length), start == 0, part);
        return part.WrittenSpan.CommonPrefixLength(ids);
    }
}
