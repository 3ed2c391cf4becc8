namespace Trainer.Data.Chat;

/// <summary>Characters for private use that a conversation does not have, and what they stand for while it is rendered: the begin and end of
/// what an assistant writes, and first characters of special tokens that are only text.</summary>
internal sealed record ConversationSigns(char Begin, char End, IReadOnlyDictionary<char, char> Hidden)
{
    private const int First = 0xE000;
    private const int Last = 0xF8FF;

    /// <summary>Null where too few are left.</summary>
    public static ConversationSigns? For(IReadOnlyList<ChatMessage> messages, string template, IReadOnlyList<string> specialTokens)
    {
        var used = messages.SelectMany(message => message.Content).Concat(template).Where(c => c is >= (char)First and <= (char)Last)
            .ToHashSet();
        char[] firsts = [.. specialTokens.Select(token => token[0]).Distinct()];
        char[] free = [.. Enumerable.Range(First, Last - First + 1).Select(value => (char)value).Where(sign => !used.Contains(sign))
            .Take(firsts.Length + 2)];
        return free.Length < firsts.Length + 2 ? null
            : new(free[0], free[1], firsts.Zip(free[2..]).ToDictionary(pair => pair.First, pair => pair.Second));
    }

    /// <summary>Replaces the first character of what looks like a special token, so that none is taken for one of the template's.</summary>
    public IReadOnlyList<ChatMessage> Hide(IReadOnlyList<ChatMessage> messages, IReadOnlyList<string> specialTokens) =>
        [.. messages.Select(message => message with { Content = Hide(message.Content, specialTokens) })];

    private string Hide(string content, IReadOnlyList<string> specialTokens)
    {
        char[]? changed = null;
        foreach (var token in specialTokens)
            for (var at = content.IndexOf(token, StringComparison.Ordinal); at >= 0;
                at = content.IndexOf(token, at + 1, StringComparison.Ordinal))
                (changed ??= content.ToCharArray())[at] = Hidden[token[0]];
        return changed is null ? content : new string(changed);
    }
}
