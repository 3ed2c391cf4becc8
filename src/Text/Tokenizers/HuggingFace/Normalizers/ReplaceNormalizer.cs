using System.Text;

namespace Trainer.Text.HuggingFace;

/// <summary>Every occurrence of a string, or match of a regular expression, becomes another string.</summary>
internal sealed class ReplaceNormalizer(RegularExpression expression, string content) : Normalizer
{
    /// <summary>The fastest normalizer for a pattern.</summary>
    public static Normalizer Of(TextPattern pattern, string content) => pattern.Plain is { Length: > 0 } plain
        ? new FunctionNormalizer(text => text.Replace(plain, content, StringComparison.Ordinal))
        : pattern.Plain is not null ? new FunctionNormalizer(text => text) : new ReplaceNormalizer(pattern.Compile(), content);

    public override string Apply(string text)
    {
        StringBuilder? result = null;
        var (written, from) = (0, 0);
        while (from <= text.Length && expression.Find(text, from, out var start, out var end))
        {
            (result ??= new StringBuilder(text.Length)).Append(text, written, start - written).Append(content);
            written = end;
            from = end > start ? end : end + (end + 1 < text.Length && char.IsHighSurrogate(text[end]) ? 2 : 1);
        }
        return result is null ? text : result.Append(text, written, text.Length - written).ToString();
    }
}
