namespace Trainer.Text;

/// <summary>The corpus <c>dotnet-docs</c>.</summary>
public sealed class DotnetDocs : Corpus
{
    private DotnetDocs(string folder) => Files = [Path.Combine(folder, "text.txt")];

    /// <inheritdoc/>
    public override string Name => "dotnet-docs";

    /// <inheritdoc/>
    public override IReadOnlyList<string> Files { get; }

    /// <summary>Opens the corpus.</summary>
    public static DotnetDocs Open(string folder, IProgress<string>? progress = null) => new(folder);

    /// <inheritdoc/>
    public override IEnumerable<TextPiece> Read() => Utf8Text.Read(Files[0]);
}
