using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>What Split and Replace look for: a plain string or a regular expression.</summary>
/// <param name="Where">The component it stands in, for errors.</param>
/// <param name="Plain">The string, or null.</param>
/// <param name="Expression">The regular expression, or null.</param>
internal sealed record TextPattern(Part Where, string? Plain, string? Expression)
{
    /// <summary>Reads <c>pattern</c>: {"String": …} or {"Regex": …}.</summary>
    public static TextPattern Of(Part part)
    {
        var pattern = part.Section("pattern");
        if (pattern.Has("String") == pattern.Has("Regex"))
            throw pattern.Damaged("it must hold either String or Regex");
        return pattern.Has("String")
            ? new TextPattern(pattern, pattern.Text("String"), null)
            : new TextPattern(pattern, null, pattern.Text("Regex"));
    }

    /// <summary>The pattern as a regular expression.</summary>
    public RegularExpression Compile()
    {
        try
        {
            return new RegularExpression(Expression ?? Escape(Plain!));
        }
        catch (RegularExpressionException e)
        {
            throw Where.Damaged($"the regular expression {Expression} cannot be used: {e.Message}");
        }
    }

    private static string Escape(string text)
    {
        var escaped = new StringBuilder();
        foreach (var character in text)
            escaped.Append(char.IsAscii(character) && !char.IsAsciiLetterOrDigit(character) ? $@"\x{(int)character:X2}" : character.ToString());
        return escaped.ToString();
    }
}
