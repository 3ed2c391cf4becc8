using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>The corpus <c>dotnet-docs</c>: the API documentation installed with the .NET SDK, one document per type or member. Built into a
/// folder on first use and again when the SDK changes; the same SDK gives the same bytes.</summary>
internal sealed class DotnetDocs : Corpus
{
    private DotnetDocs(string text, double weight)
    {
        Files = [Path.GetFullPath(text)];
        Weight = weight;
    }

    public override string Name => "dotnet-docs";

    public override IReadOnlyList<string> Files { get; }

    public override string Reading => "text by blank lines";

    public override IEnumerable<TextPiece> Read() => BlankLineSplitter.Documents(Utf8Text.Read(Files[0]));

    public static DotnetDocs Open(string folder, IProgress<string>? progress = null, double weight = 1) =>
        Open(folder, DotnetInstallation.Find(), progress, weight);

    internal static DotnetDocs Open(string folder, string root, IProgress<string>? progress, double weight = 1)
    {
        var files = ReferencePacks.Find(root);
        if (!IsCurrent(folder, files))
            Build(folder, root, files, progress);
        return new DotnetDocs(TextOf(folder), weight);
    }

    private static bool IsCurrent(string folder, IReadOnlyList<PackFile> files) =>
        DotnetDocsSources.TryLoad(SourcesOf(folder)) is { Builder: DotnetDocsBuilder.Version } sources
        && sources.Files.Select(file => new PackFile(file.Path, file.Bytes)).SequenceEqual(files)
        && File.Exists(TextOf(folder)) && new FileInfo(TextOf(folder)).Length == sources.Text.Bytes;

    private static void Build(string folder, string root, IReadOnlyList<PackFile> files, IProgress<string>? progress)
    {
        progress?.Report($"building the corpus dotnet-docs from {files.Count} documentation files ({files.Sum(file => file.Bytes) / 1e6:0} "
            + $"MB) in {root}");
        var (text, sources) = DotnetDocsBuilder.Build(root, files);
        if (sources.Text.Sentences == 0)
            throw new UserException($"the documentation files in {root} hold no text; repair or reinstall the .NET SDK");
        AtomicFile.WriteFolder(folder, temporary =>
        {
            File.WriteAllBytes(TextOf(temporary), text);
            sources.Save(SourcesOf(temporary));
        });
        progress?.Report($"built {folder}: {sources.Text.Sentences:N0} distinct sentences on {sources.Text.Types:N0} "
            + $"types, {sources.Text.Bytes / 1e6:0.0} MB");
    }

    private static string TextOf(string folder) => Path.Combine(folder, "text.txt");

    private static string SourcesOf(string folder) => Path.Combine(folder, "sources.json");
}

/// <summary>Only the first occurrence of a sentence is kept, so no held-out sentence is also trained on. Types are shuffled by the hash of
/// their name, so the held-out end covers all libraries.</summary>
internal sealed class DotnetDocsBuilder
{
    /// <summary>Incremented when the same files would give another text.</summary>
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

    /// <summary>Duplicates of an earlier file, which packs share, add nothing.</summary>
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
        entry.Id.Kind is 'T' or 'M' or 'P' or 'F' or 'E'
            && known.Add((entry.Id.Type, entry.Id.Member, string.Join(',', entry.Id.Parameters)));

    private void Compose()
    {
        foreach (var type in entries.GroupBy(entry => entry.Id.Type)
            .OrderBy(type => Hash(Encoding.UTF8.GetBytes(type.Key)), StringComparer.Ordinal))
        {
            var typeParameters = type.FirstOrDefault(entry => entry.Id.Kind == 'T')?.TypeParameters ?? [];
            var before = describedEntries;
            foreach (var entry in type.OrderBy(entry => entry.Id.Kind == 'T' ? 0 : 1))
                Compose(entry, typeParameters);
            describedTypes += describedEntries > before ? 1 : 0;
        }
    }

    private void Compose(DocumentationEntry entry, IReadOnlyList<string> typeParameters)
    {
        var lines = entry.Lines.Select(line => (line.Label, Text: NewSentences(line.Text, entry.File))).Where(line => line.Text.Length > 0)
            .ToArray();
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

/// <summary>The file <c>sources.json</c>: the origin of dotnet-docs, the same on every machine with the same SDK.</summary>
internal sealed record DotnetDocsSources(int Builder, DotnetDocsText Text, IReadOnlyList<DotnetDocsFile> Files)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true, NewLine = "\n" };

    public void Save(string path) => File.WriteAllBytes(path, [.. JsonSerializer.SerializeToUtf8Bytes(this, Format), (byte)'\n']);

    /// <summary>Null when the file is missing or not understood; the corpus is then rebuilt.</summary>
    public static DotnetDocsSources? TryLoad(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<DotnetDocsSources>(File.ReadAllBytes(path), Format) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

internal sealed record DotnetDocsText(long Bytes, string Sha256, int Types, int Entries, int Sentences);

/// <summary>A documentation file that was read; credited only with members and sentences that no earlier file has.</summary>
internal sealed record DotnetDocsFile(string Path, long Bytes, string Sha256, int Members, int Sentences);

internal static class BlankLineSplitter
{
    public static IEnumerable<TextPiece> Documents(IEnumerable<TextPiece> pieces)
    {
        var (starts, endsLine) = (true, false);
        foreach (var piece in pieces)
        {
            var (rest, line) = (piece.Text, piece.Line);
            while (!rest.IsEmpty)
            {
                var (length, isEnd) = Next(rest.Span, endsLine);
                var part = rest[..length];
                yield return piece with { Text = part, StartsDocument = starts, Line = line };
                line += part.Span.Count('\n');
                (starts, endsLine, rest) = (isEnd, !isEnd && part.Span[^1] == '\n', rest[length..]);
            }
        }
    }

    /// <summary>The next part of a document, up to its end if that is here; the two line breaks may lie in two pieces.</summary>
    private static (int Length, bool IsEnd) Next(ReadOnlySpan<char> text, bool endsLine)
    {
        if (endsLine && text[0] == '\n')
            return (1, true);
        var end = text.IndexOf("\n\n");
        return end < 0 ? (text.Length, false) : (end + 2, true);
    }
}
