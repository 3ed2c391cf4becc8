using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Every occurrence of a string, or match of a regular expression, becomes another string.</summary>
internal sealed class ReplaceNormalizer(RegularExpression expression, string content) : Normalizer
{
    /// <summary>The fastest normalizer for a pattern.</summary>
    public static Normalizer Of(TextPattern pattern, string content) => pattern.Plain is { Length: > 0 } plain
        ? new FunctionNormalizer(text => text.Replace(plain, content, StringComparison.Ordinal))
        : new ReplaceNormalizer(pattern.Compile(), content);

    public override string Apply(string text)
    {
        StringBuilder? result = null;
        var written = 0;
        var matches = new Matches(expression, text);
        while (matches.MoveNext())
        {
            (result ??= new StringBuilder(text.Length)).Append(text, written, matches.Start - written).Append(content);
            written = matches.End;
        }
        return result is null ? text : result.Append(text, written, text.Length - written).ToString();
    }
}
