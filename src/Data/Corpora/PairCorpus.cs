using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>Two columns of the same records, or the lines of two files. Records with either part missing or empty are skipped.</summary>
internal sealed class PairCorpus : Corpus
{
    private readonly IReadOnlyList<Side> sources;
    private readonly IReadOnlyList<Side> targets;

    private PairCorpus(string name, string reading, IReadOnlyList<Side> sources, IReadOnlyList<Side> targets, double weight)
    {
        (Name, Reading, this.sources, this.targets) = (name, reading, sources, targets);
        Files = [.. sources.Concat(targets).Select(side => side.File).Distinct()];
        Weight = weight;
    }

    public override string Name { get; }

    public override IReadOnlyList<string> Files { get; }

    public override string Reading { get; }

    internal override bool IsPaired => true;

    public override IEnumerable<TextPiece> Read() => sources.Zip(targets).SelectMany(pair => Read(pair.First, pair.Second));

    public static PairCorpus Open(SourceOptions source, string at, string directory, IProgress<string>? progress = null) =>
        source.TargetPath is not null ? OfLines(source, at)
        : source.Format == SourceFormat.DotnetTranslations ? OfTranslations(source, directory, progress)
        : OfColumns(source, at);

    private static PairCorpus OfTranslations(SourceOptions source, string directory, IProgress<string>? progress)
    {
        var column = source.Column ?? (source.TargetColumn == "source" ? "target" : "source");
        var built = DotnetTranslations.Open(source with { Column = column }, Path.Combine(directory, "dotnet-translations"), progress);
        return OfColumns(built.Name, FileFormat.Of(SourceFormat.JsonLines), built.Files, column,
            source.TargetColumn ?? (column == "target" ? "source" : "target"), built.Weight);
    }

    private static PairCorpus OfColumns(SourceOptions source, string at)
    {
        var files = SourceFiles.Find(source.Path!, source.Format is { } format ? FileFormat.Of(format) : null, $"{at}.path: ");
        if (!files.Format.HasColumns)
            throw new UserException($"{at}.targetColumn: \"{source.TargetColumn}\" is named, but \"{source.Path}\" is read "
                + $"as {files.Format.Name}, which has no columns; name targetPath instead, or set format to \"jsonl\" or \"parquet\"");
        return OfColumns(files.Name, files.Format, files.Files, source.Column ?? SourceOptions.DefaultColumn, source.TargetColumn!,
            source.Weight ?? 1);
    }

    private static PairCorpus OfColumns(string name, FileFormat format, IReadOnlyList<string> files, string column, string targetColumn,
        double weight) => new(
        name, $"{format.Name} {column} to {targetColumn}",
        [.. files.Select(file => new Side(format, file, column))], [.. files.Select(file => new Side(format, file, targetColumn))], weight);

    private static PairCorpus OfLines(SourceOptions source, string at)
    {
        var (sources, targets) = (Lines(source.Path!, $"{at}.path"), Lines(source.TargetPath!, $"{at}.targetPath"));
        if (sources.Files.Count != targets.Files.Count)
            throw new UserException($"{at}.targetPath: \"{source.TargetPath}\" names {targets.Files.Count} files, but path "
                + $"names {sources.Files.Count}; name as many, in the same order");
        return new PairCorpus(
            sources.Name, "lines to lines",
            [.. sources.Files.Select(file => new Side(sources.Format, file, ""))],
            [.. targets.Files.Select(file => new Side(targets.Format, file, ""))], source.Weight ?? 1);
    }

    private static SourceFiles Lines(string path, string at) => SourceFiles.Find(path, FileFormat.Of(SourceFormat.Text), $"{at}: ");

    private static IEnumerable<TextPiece> Read(Side from, Side to)
    {
        using var source = from.Open();
        using var target = to.Open();
        while (true)
        {
            var (hasSource, hasTarget) = (source.Next(), target.Next());
            if (hasSource != hasTarget)
                throw new UserException($"{(hasSource ? to.File : from.File)} ends after {(hasSource ? target : source).Number - 1} lines, "
                    + $"before {(hasSource ? from.File : to.File)} does; each line must have its counterpart");
            if (!hasSource)
                yield break;
            if (source.Value is not { Length: > 0 } || target.Value is not { Length: > 0 })
                continue;
            foreach (var piece in source.Pieces().Concat(target.Pieces()))
                yield return piece;
        }
    }

    private sealed record Side(FileFormat Format, string File, string Column)
    {
        public RecordReader Open() => Format.Records(File, Column);
    }
}
