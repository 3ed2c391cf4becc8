using System.ComponentModel;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>One source of text of <see cref="DataOptions"/>: a file, many files, or a corpus that brings its own text.</summary>
public sealed record SourceOptions : IValidated
{
    /// <summary>The field or column that is read when <see cref="Column"/> is absent.</summary>
    public const string DefaultColumn = "text";

    /// <summary>How many examples format synthetic makes when <see cref="Examples"/> is absent.</summary>
    public const long DefaultExamples = 20_000;

    /// <summary>A file, a folder or a glob, relative to the working directory or absolute; absent for the formats that bring their own text.</summary>
    /// <remarks>A folder is read with its subfolders, in ordinal order of the paths. A glob has <c>*</c>, <c>**</c>, <c>?</c>, <c>[a-z]</c> or <c>{a,b}</c>.</remarks>
    [Description("A file, a folder (read with its subfolders, in order of the names) or a glob such as data/**/*.jsonl.zst; relative to the working directory or absolute. Not for the dotnet- formats and synthetic, which bring their own text.")]
    public string? Path { get; init; }

    /// <summary>In what form the text comes; when absent, the names of the files say.</summary>
    [Description("In what form the text comes: text, jsonl and parquet are files (text and jsonl also as .gz and .zst); dotnet-docs and dotnet-translations are taken from the installed .NET SDK; synthetic makes examples of a task. When absent, the extension of the files says.")]
    public SourceFormat? Format { get; init; }

    /// <summary>The field of JSON lines or the column of Parquet that holds the text, <c>text</c> when absent; nested ones as <c>a.b</c>. Of
    /// dotnet-translations <c>source</c> (the English) or <c>target</c>, which is read when absent.</summary>
    [Description("The field (jsonl) or column (parquet) that holds the text, \"text\" when absent; nested ones as a.b. For dotnet-translations: source (English) or target, the default.")]
    public string? Column { get; init; }

    /// <summary>For sequence-to-sequence: the field or column with the text to write, beside <see cref="Column"/> with the text to read.</summary>
    [Description("For sequence-to-sequence: the field (jsonl) or column (parquet) with the text to write; column has the text to read. For dotnet-translations: target, unless column is target.")]
    public string? TargetColumn { get; init; }

    /// <summary>For sequence-to-sequence: a text file whose lines are to be written where the lines of <see cref="Path"/> are read.</summary>
    [Description("For sequence-to-sequence: a text file, of which each line is to be written for the same line of path, another text file.")]
    public string? TargetPath { get; init; }

    /// <summary>How often this source is drawn from, relative to the others of <c>data.train</c>, whatever their sizes; 1 where only others
    /// have a weight. Without any weight the texts are one, and each is drawn from by its size.</summary>
    [Description("How many rows are drawn from this source, relative to the weights of the other sources of data.train, whatever their sizes; 1 where only others have a weight. Without any weight all texts are drawn from by their sizes.")]
    public double? Weight { get; init; }

    /// <summary>The language of dotnet-translations, such as <c>de</c>.</summary>
    [Description("For dotnet-translations: the language beside English: cs, de, es, fr, it, ja, ko, pl, pt-BR, ru, tr, zh-Hans or zh-Hant.")]
    public string? Language { get; init; }

    /// <summary>The part of dotnet-translations or synthetic that is read, <c>train</c> when absent.</summary>
    [Description("For dotnet-translations and synthetic: the part to read, train (the default) or validation; no message and no prompt is in both.")]
    public SourceSplit? Split { get; init; }

    /// <summary>What the examples of synthetic ask for.</summary>
    [Description("For synthetic: what the examples ask for.")]
    public SyntheticTaskOptions? Task { get; init; }

    /// <summary>How many examples synthetic makes, <see cref="DefaultExamples"/> when absent.</summary>
    [Description("For synthetic: how many examples to make; 20,000 when absent.")]
    public long? Examples { get; init; }

    /// <summary>What the examples of synthetic are drawn from, 1 when absent.</summary>
    [Description("For synthetic: the seed that the examples are drawn from; 1 when absent. The same seed gives the same examples.")]
    public long? Seed { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Weight is { } weight && !(weight > 0 && double.IsFinite(weight)))
            yield return new Problem("weight", $"is {weight}, but must be above 0; leave the source out to read nothing of it");
        var brings = Format is SourceFormat.DotnetDocs or SourceFormat.DotnetTranslations or SourceFormat.Synthetic;
        var translations = Format == SourceFormat.DotnetTranslations;
        if (!brings && string.IsNullOrWhiteSpace(Path))
            yield return new Problem("path", "is missing; name a file, a folder or a glob, or set format to \"dotnet-docs\" for the documentation of the installed .NET SDK");
        if (brings && Path is not null)
            yield return new Problem("path", $"is \"{Path}\", but format {Name} brings its own text; remove path, or set format to \"text\"");
        if (Column is not null && (string.IsNullOrWhiteSpace(Column) || HasNoColumns))
            yield return new Problem("column", Column.Length == 0 || Format is null
                ? "is empty; name the field or column that holds the text, or leave it out for \"text\""
                : $"is \"{Column}\", but format {Name} has no columns; remove column, or set format to \"jsonl\" or \"parquet\"");
        if (translations && Column is not (null or "source" or "target"))
            yield return new Problem("column", $"is \"{Column}\"; format {Name} has the columns source (English) and target");
        if (translations && TargetColumn is not (null or "source" or "target"))
            yield return new Problem("targetColumn", $"is \"{TargetColumn}\"; format {Name} has the columns source (English) and target");
        if (TargetColumn is not null && (string.IsNullOrWhiteSpace(TargetColumn) || HasNoColumns))
            yield return new Problem("targetColumn", $"is \"{TargetColumn}\", but format {Name} has no such column; name targetPath for two text files, or set format to \"jsonl\" or \"parquet\"");
        if (TargetColumn is not null && TargetColumn == (Column ?? (translations ? null : DefaultColumn)))
            yield return new Problem("targetColumn", $"is \"{TargetColumn}\", the same as column; name the one that holds the text to write");
        if (TargetPath is not null && (string.IsNullOrWhiteSpace(TargetPath) || TargetColumn is not null || Format is not (null or SourceFormat.Text)))
            yield return new Problem("targetPath", $"is \"{TargetPath}\", but only two text files stand side by side; remove it, or {(TargetColumn is null ? "set format to \"text\"" : "remove targetColumn")}");
        if (translations && !DotnetTranslations.Languages.Contains(Language))
            yield return new Problem("language", $"is {(Language is null ? "missing" : $"\"{Language}\"")}; format {Name} has English with {string.Join(", ", DotnetTranslations.Languages)}");
        if (!translations && Language is not null)
            yield return new Problem("language", $"is \"{Language}\", but only format dotnet-translations has languages; remove language");
        if (!translations && Format != SourceFormat.Synthetic && Split is not null)
            yield return new Problem("split", "is set, but only the formats dotnet-translations and synthetic come divided; remove split, and name validation texts in data.validation");
        foreach (var problem in SyntheticRules.Check(this))
            yield return problem;
    }

    /// <summary>Whether it has a text to write for each text to read.</summary>
    internal bool IsPaired => TargetColumn is not null || TargetPath is not null || Format is SourceFormat.DotnetTranslations or SourceFormat.Synthetic;

    private bool HasNoColumns => Format is SourceFormat.Text or SourceFormat.DotnetDocs or SourceFormat.Synthetic;

    private string Name => Format switch
    {
        SourceFormat.DotnetDocs => "dotnet-docs",
        SourceFormat.DotnetTranslations => "dotnet-translations",
        SourceFormat.Synthetic => "synthetic",
        SourceFormat.Text => "text",
        _ => "of its files",
    };
}
