using System.Xml;
using System.Xml.Linq;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>What a documentation file says of one member.</summary>
/// <param name="Id">The member.</param>
/// <param name="File">The number of its file.</param>
/// <param name="ParameterNames">The names of its parameters, in order.</param>
/// <param name="TypeParameters">The names of its own type parameters, in order.</param>
/// <param name="Lines">Labels, such as <c>Returns: </c>, and the paragraphs they stand before.</param>
internal sealed record DocumentationEntry(
    DocumentationId Id, int File, IReadOnlyList<string> ParameterNames, IReadOnlyList<string> TypeParameters, IReadOnlyList<(string Label, string Text)> Lines)
{
    /// <summary>Reads a documentation file member by member.</summary>
    /// <exception cref="UserException">The file is not well-formed.</exception>
    public static List<DocumentationEntry> ReadAll(Stream stream, string path, int file)
    {
        var entries = new List<DocumentationEntry>();
        try
        {
            using var reader = XmlReader.Create(stream, new XmlReaderSettings { IgnoreComments = true, DtdProcessing = DtdProcessing.Prohibit });
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
