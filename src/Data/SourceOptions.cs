using System.ComponentModel;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Numbers;

namespace Trainer.Data;

/// <summary>One text source of <see cref="DataOptions"/>: a file, many files, or a built-in corpus.</summary>
public sealed record SourceOptions : IValidated
{
    internal const string DefaultColumn = "text";

    internal const long DefaultExamples = 20_000;

    /// <summary>A file, folder or glob, relative to the working directory or absolute; absent for built-in corpora. Folders are read
    /// recursively; globs have <c>*</c>, <c>**</c>, <c>?</c>, <c>[a-z]</c> and <c>{a,b}</c>.</summary>
    [Description("A file, a folder (read with its subfolders, in order of the names) or a glob such as data/**/*.jsonl.zst; relative to "
        + "the working directory or absolute. Not for the dotnet- formats and synthetic, which bring their own text.")]
    public string? Path { get; init; }

    /// <summary>The format; when absent, it follows from the file names.</summary>
    [Description("In what form the text comes: text, jsonl and parquet are files (text and jsonl also as .gz and .zst); chat is "
        + "conversations in JSON lines or Parquet (see data.chat); preferences is answers that were chosen and rejected, in JSON "
        + "lines or Parquet (see preference); images is a folder with a folder of PNG files for each class (see data.images); series "
        + "is time series in CSV or Parquet, a row for each step (see data.series); dotnet-docs, dotnet-docs-chat (questions on it), "
        + "dotnet-docs-preferences (with two answers), dotnet-translations and the series dotnet-metadata (bytes of the metadata tables "
        + "of assemblies) are taken from the installed .NET SDK; synthetic makes examples of a task. When absent, the extension of the "
        + "files says.")]
    public SourceFormat? Format { get; init; }

    /// <summary>The JSON field or Parquet column with the text, nested as <c>a.b</c>; by default <c>text</c> or <c>target</c>.</summary>
    [Description("The field (jsonl) or column (parquet) that holds the text, \"text\" when absent; nested ones as a.b. For "
        + "dotnet-translations: source (English) or target, the default.")]
    public string? Column { get; init; }

    /// <summary>For sequence-to-sequence: the field or column with the text to write; <see cref="Column"/> has the text to read.</summary>
    [Description("For sequence-to-sequence: the field (jsonl) or column (parquet) with the text to write; column has the text to read. For "
        + "dotnet-translations: target, unless column is target.")]
    public string? TargetColumn { get; init; }

    /// <summary>For sequence-to-sequence: a text file whose lines are the targets for the lines of <see cref="Path"/>.</summary>
    [Description("For sequence-to-sequence: a text file, of which each line is to be written for the same line of path, "
        + "another text file.")]
    public string? TargetPath { get; init; }

    /// <summary>Sampling weight relative to the other sources of <c>data.train</c>; 1 when only others have one. When none has, each is
    /// sampled in proportion to its size.</summary>
    [Description("How many rows are drawn from this source, relative to the weights of the other sources of data.train, whatever their "
        + "sizes; 1 where only others have a weight. Without any weight all texts are drawn from by their sizes.")]
    public double? Weight { get; init; }

    /// <summary>The language of dotnet-translations, such as <c>de</c>.</summary>
    [Description("For dotnet-translations: the language beside English: cs, de, es, fr, it, ja, ko, pl, pt-BR, ru, tr, "
        + "zh-Hans or zh-Hant.")]
    public string? Language { get; init; }

    /// <summary>The part of dotnet-translations, dotnet-metadata or synthetic to read, <c>train</c> when absent.</summary>
    [Description("For dotnet-translations, dotnet-metadata and synthetic: the part to read, train (the default) or validation; no message, "
        + "assembly or prompt is in both.")]
    public SourceSplit? Split { get; init; }

    /// <summary>The task that synthetic examples pose.</summary>
    [Description("For synthetic: what the examples ask for.")]
    public SyntheticTaskOptions? Task { get; init; }

    /// <summary>The number of synthetic examples, <see cref="DefaultExamples"/> when absent, or of dotnet-docs-preferences at most.</summary>
    [Description("For synthetic: how many examples to make; 20,000 when absent. For dotnet-docs-preferences: how many to take at most.")]
    public long? Examples { get; init; }

    /// <summary>The seed of synthetic examples, 1 when absent.</summary>
    [Description("For synthetic: the seed that the examples are drawn from; 1 when absent. The same seed gives the same examples.")]
    public long? Seed { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Weight is { } weight && !(weight > 0 && double.IsFinite(weight)))
            yield return new Problem("weight", $"is {weight}, but must be above 0; leave the source out to read nothing of it");
        var brings = Format is SourceFormat.DotnetDocs or SourceFormat.DotnetDocsChat or SourceFormat.DotnetDocsPreferences
            or SourceFormat.DotnetTranslations or SourceFormat.DotnetMetadata or SourceFormat.Synthetic;
        var translations = Format == SourceFormat.DotnetTranslations;
        if (!brings && string.IsNullOrWhiteSpace(Path))
            yield return new Problem("path", "is missing; name a file, a folder or a glob, or set format to \"dotnet-docs\" for the "
                + "documentation of the installed .NET SDK");
        if (brings && Path is not null)
            yield return new Problem("path",
                $"is \"{Path}\", but format {Name} brings its own text; remove path, or set format to \"text\"");
        if (Column is not null && (string.IsNullOrWhiteSpace(Column) || HasNoColumns))
            yield return new Problem("column", Column.Length == 0 || Format is null
                ? "is empty; name the field or column that holds the text, or leave it out for \"text\""
                : $"is \"{Column}\", but format {Name} has no columns; remove column, or set format to \"jsonl\" or \"parquet\"");
        if (translations && Column is not (null or "source" or "target"))
            yield return new Problem("column", $"is \"{Column}\"; format {Name} has the columns source (English) and target");
        if (translations && TargetColumn is not (null or "source" or "target"))
            yield return new Problem("targetColumn", $"is \"{TargetColumn}\"; format {Name} has the columns source (English) and target");
        if (TargetColumn is not null && (string.IsNullOrWhiteSpace(TargetColumn) || HasNoColumns))
            yield return new Problem("targetColumn", $"is \"{TargetColumn}\", but format {Name} has no such column; name targetPath for "
                + "two text files, or set format to \"jsonl\" or \"parquet\"");
        if (TargetColumn is not null && TargetColumn == (Column ?? (translations ? null : DefaultColumn)))
            yield return new Problem("targetColumn",
                $"is \"{TargetColumn}\", the same as column; name the one that holds the text to write");
        if (TargetPath is not null
            && (string.IsNullOrWhiteSpace(TargetPath) || TargetColumn is not null || Format is not (null or SourceFormat.Text)))
            yield return new Problem("targetPath", $"is \"{TargetPath}\", but only two text files stand side by side; remove it, "
                + $"or {(TargetColumn is null ? "set format to \"text\"" : "remove targetColumn")}");
        if (translations && !DotnetTranslations.Languages.Contains(Language))
            yield return new Problem("language", $"is {(Language is null ? "missing" : $"\"{Language}\"")}; format {Name} has English "
                + $"with {string.Join(", ", DotnetTranslations.Languages)}");
        if (!translations && Language is not null)
            yield return new Problem("language", $"is \"{Language}\", but only format dotnet-translations has languages; remove language");
        if (!translations && Format is not (SourceFormat.DotnetMetadata or SourceFormat.Synthetic) && Split is not null)
            yield return new Problem("split", "is set, but only the formats dotnet-translations, dotnet-metadata and synthetic come "
                + "divided; remove split, and name validation texts in data.validation");
        foreach (var problem in SyntheticProblems())
            yield return problem;
    }

    private IEnumerable<Problem> SyntheticProblems()
    {
        if (Examples < 1)
            yield return new Problem("examples", $"is {Examples}, but must be 1 or more");
        if (Format == SourceFormat.Synthetic)
        {
            if (Task is null)
                yield return new Problem("task", "is missing; format synthetic needs one, such as {\"type\": \"copy\", \"length\": 32}");
            if (Examples is not null && Task is WavesTaskOptions)
                yield return new Problem("examples", $"is {Examples}, but a series is as long as task.steps says; remove it");
            if (Split is not null && Task is WavesTaskOptions)
                yield return new Problem("split", "is set, but of a series the end is held out (data.validationFraction); remove split");
            yield break;
        }
        if (Task is not null)
            yield return new Problem("task", "is set, but only format synthetic has tasks; remove task, or set format to \"synthetic\"");
        if (Examples is not null && Format != SourceFormat.DotnetDocsPreferences)
            yield return new Problem("examples", $"is {Examples}, but only the formats synthetic and dotnet-docs-preferences make examples;"
                + " remove examples");
        if (Seed is not null)
            yield return new Problem("seed", $"is {Seed}, but only format synthetic draws its text; remove seed");
    }

    /// <summary>What the source holds.</summary>
    [JsonIgnore]
    public DataKind Kind => Format switch
    {
        SourceFormat.Images => DataKind.Images,
        SourceFormat.Series or SourceFormat.DotnetMetadata => DataKind.Series,
        SourceFormat.Synthetic => Task switch
        {
            ShapesTaskOptions => DataKind.Images,
            WavesTaskOptions => DataKind.Series,
            _ => DataKind.Text,
        },
        _ => DataKind.Text,
    };

    internal bool IsPaired =>
        TargetColumn is not null || TargetPath is not null || Format is SourceFormat.DotnetTranslations or SourceFormat.Synthetic;

    internal bool IsPreferences => Format is SourceFormat.Preferences or SourceFormat.DotnetDocsPreferences;

    internal bool IsConversations => Format is SourceFormat.Chat or SourceFormat.DotnetDocsChat;

    private bool HasNoColumns => IsConversations || IsPreferences || Kind != DataKind.Text
        || Format is SourceFormat.Text or SourceFormat.DotnetDocs or SourceFormat.Synthetic;

    private string Name => Format switch
    {
        SourceFormat.DotnetDocs => "dotnet-docs",
        SourceFormat.DotnetDocsChat => "dotnet-docs-chat",
        SourceFormat.DotnetDocsPreferences => "dotnet-docs-preferences",
        SourceFormat.DotnetTranslations => "dotnet-translations",
        SourceFormat.DotnetMetadata => "dotnet-metadata",
        SourceFormat.Synthetic => "synthetic",
        SourceFormat.Text => "text",
        SourceFormat.Chat => "chat",
        SourceFormat.Preferences => "preferences",
        SourceFormat.Images => "images",
        SourceFormat.Series => "series",
        _ => "of its files",
    };
}

/// <summary>The format of a text source.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SourceFormat>))]
public enum SourceFormat
{
    /// <summary>Plain UTF-8 text, one document per file; may be compressed (.gz, .zst).</summary>
    [JsonStringEnumMemberName("text")]
    Text,

    /// <summary>JSON lines with the document in one field; may be compressed (.gz, .zst).</summary>
    [JsonStringEnumMemberName("jsonl")]
    JsonLines,

    /// <summary>Parquet, one document per row of a column.</summary>
    [JsonStringEnumMemberName("parquet")]
    Parquet,

    /// <summary>JSON lines with a conversation in each record; may be compressed (.gz, .zst).</summary>
    [JsonStringEnumMemberName("chat")]
    Chat,

    /// <summary>JSON lines, also compressed, or Parquet with a chosen and a rejected answer to a prompt in each record.</summary>
    [JsonStringEnumMemberName("preferences")]
    Preferences,

    /// <summary>The API documentation installed with the .NET SDK; has no path.</summary>
    [JsonStringEnumMemberName("dotnet-docs")]
    DotnetDocs,

    /// <summary>Questions on that documentation, and answers from it; has no path.</summary>
    [JsonStringEnumMemberName("dotnet-docs-chat")]
    DotnetDocsChat,

    /// <summary>Such questions with two answers, of which one is of another entry; has no path.</summary>
    [JsonStringEnumMemberName("dotnet-docs-preferences")]
    DotnetDocsPreferences,

    /// <summary>The .NET SDK's messages in English and one of 13 other languages; has no path.</summary>
    [JsonStringEnumMemberName("dotnet-translations")]
    DotnetTranslations,

    /// <summary>The metadata tables of the .NET SDK's reference assemblies as time series of bytes; has no path.</summary>
    [JsonStringEnumMemberName("dotnet-metadata")]
    DotnetMetadata,

    /// <summary>Pictures as PNG, in a folder for each class.</summary>
    [JsonStringEnumMemberName("images")]
    Images,

    /// <summary>Time series as CSV or Parquet, a row for each step of time.</summary>
    [JsonStringEnumMemberName("series")]
    Series,

    /// <summary>Examples of a task, drawn from a seed; has no path.</summary>
    [JsonStringEnumMemberName("synthetic")]
    Synthetic,
}

/// <summary>The part of a pre-divided corpus.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<SourceSplit>))]
public enum SourceSplit
{
    /// <summary>For training.</summary>
    [JsonStringEnumMemberName("train")]
    Train,

    /// <summary>For validation; disjoint from the other.</summary>
    [JsonStringEnumMemberName("validation")]
    Validation,
}
