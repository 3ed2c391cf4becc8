using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The corpus <c>dotnet-docs</c>: the API documentation that every .NET SDK installs beside itself, a document for each type and member.</summary>
/// <remarks>It is built into a folder on first use, and again when the SDK changes: <c>text.txt</c>, and
/// <c>sources.json</c> with what was taken from where. The same SDK gives the same bytes.</remarks>
public sealed class DotnetDocs : Corpus
{
    private DotnetDocs(string text, double weight)
    {
        Files = [Path.GetFullPath(text)];
        Weight = weight;
    }

    /// <inheritdoc/>
    public override string Name => "dotnet-docs";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Files { get; }

    /// <inheritdoc/>
    public override string Reading => "text by blank lines";

    /// <inheritdoc/>
    public override IEnumerable<TextPiece> Read() => BlankLines.Documents(Utf8Text.Read(Files[0]));

    /// <summary>Opens the corpus, after building it if it is not there, incomplete, or of another SDK.</summary>
    /// <param name="folder">The folder of the corpus, such as <c>datasets/dotnet-docs</c>.</param>
    /// <param name="progress">Told what is built, if anything.</param>
    /// <param name="weight">How often it is drawn from, relative to the other corpora of its list.</param>
    /// <returns>The corpus, ready to be read.</returns>
    /// <exception cref="UserException">No .NET SDK with documentation is found, or its files are damaged.</exception>
    public static DotnetDocs Open(string folder, IProgress<string>? progress = null, double weight = 1) => Open(folder, DotnetRoot.Find(), progress, weight);

    /// <summary>As above, from the SDK at a known place.</summary>
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
        progress?.Report($"building the corpus dotnet-docs from {files.Count} documentation files ({files.Sum(file => file.Bytes) / 1e6:0} MB) in {root}");
        var (text, sources) = DotnetDocsBuilder.Build(root, files);
        if (sources.Text.Sentences == 0)
            throw new UserException($"the documentation files in {root} hold no text; repair or reinstall the .NET SDK");
        WholeFile.WriteFolder(folder, temporary =>
        {
            File.WriteAllBytes(TextOf(temporary), text);
            sources.Save(SourcesOf(temporary));
        });
        progress?.Report($"built {folder}: {sources.Text.Sentences:N0} distinct sentences on {sources.Text.Types:N0} types, {sources.Text.Bytes / 1e6:0.0} MB");
    }

    private static string TextOf(string folder) => Path.Combine(folder, "text.txt");

    private static string SourcesOf(string folder) => Path.Combine(folder, "sources.json");
}
