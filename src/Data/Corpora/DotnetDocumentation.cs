using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml;
using System.Xml.Linq;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>The documentation of one member; <c>Lines</c> are paragraphs and the labels before them, such as <c>Returns: </c>.</summary>
internal sealed record DocumentationEntry(
    DocumentationId Id, int File, IReadOnlyList<string> ParameterNames, IReadOnlyList<string> TypeParameters,
    IReadOnlyList<(string Label, string Text)> Lines)
{
    public static List<DocumentationEntry> ReadAll(Stream stream, string path, int file)
    {
        var entries = new List<DocumentationEntry>();
        try
        {
            using var reader = XmlReader.Create(stream,
                new XmlReaderSettings { IgnoreComments = true, DtdProcessing = DtdProcessing.Prohibit });
            while (!reader.EOF)
                if (reader is { NodeType: XmlNodeType.Element, LocalName: "member" })
                    entries.Add(Of((XElement)XNode.ReadFrom(reader), file));
                else
                    reader.Read();
            return entries;
        }
        catch (XmlException e)
        {
            throw new UserException($"{path} is damaged: {e.Message} Repair or reinstall the .NET SDK", e);
        }
    }

    private static DocumentationEntry Of(XElement member, int file)
    {
        string[] Names(string element) => [.. member.Elements(element).Select(child => (string?)child.Attribute("name") ?? "")];
        return new DocumentationEntry(
            DocumentationId.Parse((string?)member.Attribute("name") ?? ""), file, Names("param"), Names("typeparam"),
            [.. LinesOf(member, "summary", _ => ""),
             .. LinesOf(member, "typeparam", element => $"{(string?)element.Attribute("name")}: "),
             .. LinesOf(member, "param", element => $"{(string?)element.Attribute("name")}: "),
             .. LinesOf(member, "returns", _ => "Returns: "),
             .. LinesOf(member, "value", _ => "Value: "),
             .. LinesOf(member, "exception", element => $"Throws {DocumentationText.Reference((string?)element.Attribute("cref"))}: "),
             .. LinesOf(member, "remarks", _ => "Remarks: ")]);
    }

    private static IEnumerable<(string Label, string Text)> LinesOf(XElement member, string name, Func<XElement, string> label) =>
        member.Elements(name).SelectMany(element => DocumentationText.Paragraphs(element).Select(paragraph => (label(element), paragraph)));
}

/// <summary>A documentation identifier, such as <c>M:System.String.Trim(System.Char)</c> (ECMA-334, annex D.4.2). <c>Kind</c> is T, M, P,
/// F, E …; <c>Member</c> is empty for a type.</summary>
internal sealed partial record DocumentationId(char Kind, string Type, string Member, IReadOnlyList<string> Parameters)
{
    public static DocumentationId Parse(string id)
    {
        var kind = id.Length > 2 && id[1] == ':' ? id[0] : '!';
        var rest = kind == '!' ? id[(id.IndexOf(':') + 1)..] : id[2..];
        rest = rest.Split('~')[0];   // the result of a conversion operator
        var open = rest.IndexOf('(');
        var name = open < 0 ? rest : rest[..open];
        string[] parameters = open < 0 ? [] : SplitTopLevel(rest[(open + 1)..].TrimEnd(')'));
        if (kind is 'T' or 'N' or '!')
            return new DocumentationId(kind, name, "", parameters);
        var dot = name.LastIndexOf('.');
        return new DocumentationId(kind, dot < 0 ? "" : name[..dot], name[(dot + 1)..], parameters);
    }

    public string ShortName => Kind switch
    {
        'N' => Type,
        'T' or '!' => SimpleType(Type, null),
        _ => Member is "#ctor" ? SimpleType(Type, null) : $"{SimpleType(Type, null)}.{MemberName}",
    };

    public string Heading(IReadOnlyList<string> parameterNames, IReadOnlyList<string> typeParameters,
        IReadOnlyList<string> methodTypeParameters)
    {
        if (Kind == 'T')
            return (Type.LastIndexOf('.') is var dot and > 0 ? Arities().Replace(Type[..(dot + 1)], "") : "")
                + SimpleType(Type, typeParameters);
        var type = SimpleType(Type, typeParameters);
        var generic = methodTypeParameters.Count > 0 ? $"<{string.Join(", ", methodTypeParameters)}>" : "";
        var name = Member == "#ctor" ? $"new {type}" : $"{type}.{MemberName}{generic}";
        if (Kind != 'M' && Parameters.Count == 0)
            return name;
        var parameters = Parameters.Select((parameter, index) =>
            ParameterType(parameter, typeParameters, methodTypeParameters)
                + (index < parameterNames.Count ? " " + parameterNames[index] : ""));
        return $"{name}({string.Join(", ", parameters)})";
    }

    private string MemberName
    {
        get
        {
            var name = Arities().Replace(Member[(Member.LastIndexOf('#') + 1)..], "");   // explicit implementations carry their interface
            return name.StartsWith("op_", StringComparison.Ordinal) ? $"operator {name[3..]}" : name;
        }
    }

    private static string SimpleType(string type, IReadOnlyList<string>? typeParameters)
    {
        var name = type[(type.LastIndexOf('.') + 1)..];
        var tick = name.IndexOf('`');
        if (tick < 0)
            return name;
        var arity = int.TryParse(name[(tick + 1)..], out var count) ? count : 1;
        var names = typeParameters?.Count == arity
            ? typeParameters
            : arity == 1
            ? ["T"]
            : [.. Enumerable.Range(1, arity).Select(number => $"T{number}")];
        return $"{name[..tick]}<{string.Join(", ", names)}>";
    }

    private static string ParameterType(string type, IReadOnlyList<string> typeParameters, IReadOnlyList<string> methodTypeParameters)
    {
        type = type.Split('|', '!')[0];   // custom modifiers follow these signs
        var text = Namespaces().Replace(type, "").Replace('{', '<').Replace('}', '>').Replace(",", ", ");
        text = Dimensions().Replace(text, match => "[" + new string(',', match.Value.Count(c => c == ',')) + "]");
        text = MethodParameter().Replace(text, match => At(methodTypeParameters, match));
        text = TypeParameter().Replace(text, match => At(typeParameters, match));
        return text.EndsWith('@') ? "ref " + text[..^1] : text;
    }

    private static string At(IReadOnlyList<string> names, Match match)
    {
        var index = int.Parse(match.Groups[1].ValueSpan, CultureInfo.InvariantCulture);
        return index < names.Count ? names[index] : index == 0 ? "T" : $"T{index + 1}";
    }

    private static string[] SplitTopLevel(string list)
    {
        var parts = new List<string>();
        var part = new StringBuilder();
        var depth = 0;
        foreach (var c in list)
        {
            depth += c is '{' or '[' ? 1 : c is '}' or ']' ? -1 : 0;
            if (c == ',' && depth == 0)
            {
                parts.Add(part.ToString());
                part.Clear();
            }
            else
                part.Append(c);
        }
        return part.Length == 0 && parts.Count == 0 ? [] : [.. parts, part.ToString()];
    }

    [GeneratedRegex(@"`+\d+")]
    private static partial Regex Arities();

    [GeneratedRegex(@"[A-Za-z_][\w]*\.")]
    private static partial Regex Namespaces();

    [GeneratedRegex(@"\[0?:[^\]]*\]")]
    private static partial Regex Dimensions();

    [GeneratedRegex(@"``(\d{1,4})")]
    private static partial Regex MethodParameter();

    [GeneratedRegex(@"`(\d{1,4})")]
    private static partial Regex TypeParameter();
}

/// <summary>Converts documentation mark-up to plain paragraphs (ECMA-334, annex D.3).</summary>
internal static class DocumentationText
{
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
            default:   // para, list, item, br and other block elements
                text.Append('\f');
                Append(element, text);
                text.Append('\f');
                break;
        }
    }

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

internal static partial class Prose
{
    public static IEnumerable<string> Sentences(string paragraph) =>
        SentenceEnd().Split(paragraph).Select(sentence => sentence.Trim()).Where(IsProse);

    public static string Key(string sentence) =>
        string.Create(sentence.Count(char.IsAsciiLetterOrDigit), sentence, static (key, sentence) =>
        {
            var length = 0;
            foreach (var c in sentence)
                if (char.IsAsciiLetterOrDigit(c))
                    key[length++] = char.ToLowerInvariant(c);
        });

    private static bool IsProse(string sentence)
    {
        var (words, plain) = (1, 0);
        foreach (var c in sentence)
        {
            if (c is < ' ' or > '~')
                return false;   // a few non-ASCII sentences are not worth a larger alphabet
            words += c == ' ' ? 1 : 0;
            plain += char.IsAsciiLetter(c) || c is ' ' or '.' or ',' ? 1 : 0;
        }
        return words >= 2
            && plain >= sentence.Length * 0.85
            && char.IsAsciiLetterOrDigit(sentence[0])
            && sentence[^1] is '.' or '!' or '?' or ':' or ')' or '"'
            && !Signature().IsMatch(sentence);
    }

    [GeneratedRegex(@"(?<=[.!?][)""']?)(?<!\b(?:e\.g|i\.e|etc|vs)\.) +(?=[A-Z""(])")]
    private static partial Regex SentenceEnd();

    /// <summary>C and assembler, such as <c>__m128i _mm_add_epi16</c> and <c>INSR Ztied1.B, Bop2</c>; unfinished notes.</summary>
    [GeneratedRegex(@"__|_t\b|\b_[a-z]|\bA(?:32|64): |\b[BDWXZ](?:tied|op|result)|\bPg/|To be added|[{}\\;]$|=>")]
    private static partial Regex Signature();
}
