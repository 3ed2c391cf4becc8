using System.Security.Cryptography;
using System.Text;

namespace Trainer.Data;

/// <summary>Builds the corpus dotnet-docs: an entry for each member, heading first, types in a fixed random order.</summary>
/// <remarks>Every sentence is kept where it comes first and nowhere else, so that no sentence of a held-out end
/// is also trained on. Types are shuffled whole (by the hash of their name), so that such an end covers all libraries.</remarks>
internal sealed class DotnetDocsBuilder
{
    /// <summary>Counts up whenever the same files would give another text.</summary>
    public const int Version = 1;

    private readonly HashSet<string> contents = [];
    private readonly List<DocumentationEntry> entries = [];
    private readonly HashSet<(string, string, string)> known = [];
    private readonly HashSet<string> sentences = new(StringComparer.Ordinal);
    private readonly StringBuilder text = new();
    private readonly Dictionary<int, int> sentencesOfFile = [];
    private int describedTypes;
    private int describedEntries;

    private DotnetDocsBuilder() { }

    /// <summary>Reads documentation files and composes their text.</summary>
    /// <param name="root">The .NET root.</param>
    /// <param name="files">The files to read.</param>
    /// <returns>The text, and what it was taken from.</returns>
    public static (byte[] Text, DotnetDocsSources Sources) Build(string root, IReadOnlyList<PackFile> files)
    {
        var builder = new DotnetDocsBuilder();
        (PackFile File, string Sha256, int Members)[] read = [.. files.Select((file, number) => builder.Read(root, file, number))];
        builder.Compose();
        var bytes = Encoding.ASCII.GetBytes(builder.text.ToString());
        return (bytes, new DotnetDocsSources(
            Version,
            new DotnetDocsText(bytes.Length, Hash(bytes), builder.describedTypes, builder.describedEntries, builder.sentences.Count),
            [.. read.Select((file, number) => new DotnetDocsFile(
                file.File.Path, file.File.Bytes, file.Sha256, file.Members, builder.sentencesOfFile.GetValueOrDefault(number)))]));
    }

    /// <summary>Reads one file; one with the content of an earlier one, as packs share some, adds nothing.</summary>
    private (PackFile File, string Sha256, int Members) Read(string root, PackFile file, int number)
    {
        var path = Path.Combine(root, file.Path);
        var content = File.ReadAllBytes(path);
        var hash = Hash(content);
        var before = entries.Count;
        if (contents.Add(hash))
            entries.AddRange(DocumentationEntry.ReadAll(new MemoryStream(content), path, number).Where(IsNew));
        return (file, hash, entries.Count - before);
    }

    private bool IsNew(DocumentationEntry entry) =>
        entry.Id.Kind is 'T' or 'M' or 'P' or 'F' or 'E' && known.Add((entry.Id.Type, entry.Id.Member, string.Join(',', entry.Id.Parameters)));

    private void Compose()
    {
        foreach (var type in entries.GroupBy(entry => entry.Id.Type).OrderBy(type => Hash(Encoding.UTF8.GetBytes(type.Key)), StringComparer.Ordinal))
        {
            var typeParameters = type.FirstOrDefault(entry => entry.Id.Kind == 'T')?.TypeParameters ?? [];
            var before = describedEntries;
            foreach (var entry in type.OrderBy(entry => entry.Id.Kind == 'T' ? 0 : 1))
                Compose(entry, typeParameters);
            describedTypes += describedEntries > before ? 1 : 0;
        }
    }

    /// <summary>Appends heading and lines of a member, if any of its sentences is new.</summary>
    private void Compose(DocumentationEntry entry, IReadOnlyList<string> typeParameters)
    {
        var lines = entry.Lines.Select(line => (line.Label, Text: NewSentences(line.Text, entry.File))).Where(line => line.Text.Length > 0).ToArray();
        if (lines.Length == 0)
            return;
        describedEntries++;
        text.Append(entry.Id.Heading(entry.ParameterNames, typeParameters, entry.Id.Kind == 'T' ? [] : entry.TypeParameters)).Append('\n');
        foreach (var (label, line) in lines)
            text.Append(label).Append(line).Append('\n');
        text.Append('\n');
    }

    private string NewSentences(string paragraph, int file)
    {
        string[] fresh = [.. Prose.Sentences(paragraph).Where(sentence => sentences.Add(Prose.Key(sentence)))];
        sentencesOfFile[file] = sentencesOfFile.GetValueOrDefault(file) + fresh.Length;
        return string.Join(' ', fresh);
    }

    private static string Hash(byte[] content) => Convert.ToHexStringLower(SHA256.HashData(content));
}
