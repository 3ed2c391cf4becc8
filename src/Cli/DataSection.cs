using System.Text.Json;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

/// <summary>The section <c>data</c> of a verb's output: what was found, and how it is tokenized.</summary>
internal static class DataSection
{
    private static readonly JsonSerializerOptions Readable = new()
    {
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    internal static void Print(DataReport data)
    {
        Console.WriteLine("data");
        var files = data.Files > 0 ? $"{HumanFormat.Counted(data.Files, "file")}, {HumanFormat.Bytes(data.FileBytes)}" : "none";
        Row("files", $"{files}, prepared in {data.Directory}");
        Row("tokenizer", $"{data.Tokenizer}, {HumanFormat.Number(data.VocabularySize)} tokens");
        foreach (var special in data.SpecialTokens)
            Row("", $"{special.Token} ({special.Id}) {special.Use}");
        Row("training", Describe(data.Train));
        Row("validation", Describe(data.Validation));
        if (data.Conversations is { } fit)
            Row("conversations", Describe(fit));
        foreach (var example in data.Examples)
            Row("example", string.Join(" ", example.Tokens.Select(token => JsonSerializer.Serialize(token, Readable))));
    }

    internal static void Print(IReadOnlyList<PreparedDataset> datasets)
    {
        Console.WriteLine("data");
        if (datasets.Count == 0)
            Row("prepared", "nothing yet; prepare <config> or train <config> does it");
        foreach (var dataset in datasets)
        {
            var files = dataset.Files > 0 ? $" from {HumanFormat.Counted(dataset.Files, "file")}" : "";
            var changed = dataset.IsCurrent ? "" : ", which changed since";
            var size = HumanFormat.Bytes(dataset.Bytes);
            Row(Path.GetFileName(dataset.Directory), $"{size}{files}{changed}; training {Describe(dataset.Train)}");
        }
    }

    /// <summary>What the rows of training leave of conversations.</summary>
    internal static string Describe(ConversationFit fit) =>
        $"{HumanFormat.Counted(fit.Conversations, "conversation")}, {HumanFormat.Number(fit.Longer)} longer than a row, " +
        $"{HumanFormat.Number(fit.Dropped)} dropped; {HumanFormat.Number(fit.LostTokens)} of {HumanFormat.Number(fit.Tokens)} tokens cut";

    private static string Describe(SplitStatistics split) =>
        $"{HumanFormat.Compact(split.Tokens)} tokens in {HumanFormat.Counted(split.Documents, "document")}, " +
        $"{HumanFormat.Bytes(split.Bytes)}, {split.BytesPerToken:0.00} bytes a token";

    private static void Row(string name, string value) => Console.WriteLine($"  {name,-28} {value}");
}
