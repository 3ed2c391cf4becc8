using System.Text;
using System.Xml.Linq;

namespace Trainer.Data;

/// <summary>Turns the mark-up of documentation comments into plain paragraphs (ECMA-334, annex D.3).</summary>
internal static class DocumentationText
{
    /// <summary>The paragraphs of an element, white space normalised; examples in code are left out.</summary>
    public static IEnumerable<string> Paragraphs(XElement element)
    {
        var text = new StringBuilder();
        Append(element, text);
        return text.ToString()
            .Replace("-or-", "\f", StringComparison.OrdinalIgnoreCase)
            .Split('\f')
            .Select(paragraph => string.Join(' ', paragraph.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)))
            .Where(paragraph => paragraph.Length > 0);
    }

    /// <summary>What running text calls the target of a reference.</summary>
    public static string Reference(string? target) => target is null ? "" : DocumentationId.Parse(target).ShortName;

    private static void Append(XElement element, StringBuilder text)
    {
        foreach (var node in element.Nodes())
            if (node is XText characters)
                Fold(characters.Value, text);
            else if (node is XElement child)
                AppendElement(child, text);
    }

    private static void AppendElement(XElement element, StringBuilder text)
    {
        switch (element.Name.LocalName)
        {
            case "see" or "seealso" or "a" or "xref" when !element.IsEmpty && element.Value.Length > 0:
                Append(element, text);
                break;
            case "see" or "seealso" or "xref":
                text.Append((string?)element.Attribute("langword") ?? Reference((string?)element.Attribute("cref")));
                break;
            case "paramref" or "typeparamref":
                text.Append((string?)element.Attribute("name"));
                break;
            case "code":
                text.Append('\f');
                break;
            case "term" when element.NextNode is XElement or XText { NextNode: XElement }:
                Append(element, text);
                text.Append(": ");
                break;
            case "description" or "term" or "c" or "b" or "i" or "em" or "strong" or "sup" or "sub" or "for":
                Append(element, text);
                break;
            default:   // para, list, item, br and whatever else stands on its own
                text.Append('\f');
                Append(element, text);
                text.Append('\f');
                break;
        }
    }

    /// <summary>Typographic signs as the keyboard has them.</summary>
    private static void Fold(string characters, StringBuilder text)
    {
        foreach (var c in characters)
            _ = c switch
            {
                '\u2018' or '\u2019' => text.Append('\''),
                '\u201C' or '\u201D' => text.Append('"'),
                '\u2013' or '\u2014' => text.Append('-'),
                '\u2026' => text.Append("..."),
                '\u200B' or '\uFEFF' => text,
                _ => text.Append(c),
            };
    }
}
