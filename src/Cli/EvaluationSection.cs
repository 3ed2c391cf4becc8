using System.Globalization;
using Trainer.Evaluation;
using Trainer.Evaluation.Preferences;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

internal static class EvaluationSection
{
    internal static void Print(PerplexityReport report)
    {
        Row("perplexity", $"{Figure(report.Perplexity)} (window {report.Window}, stride {report.Stride})");
        Row("loss", $"{Figure(report.MeanLoss)} nats per token, {Figure(report.BitsPerToken)} bits per token");
        BitsPerByte(report.BitsPerByte, report.Bytes);
        Row("accuracy", $"{Figure(report.Accuracy)} of next tokens");
        Row("tokens scored", $"{HumanFormat.Number(report.Tokens)}, each once, in {HumanFormat.Counted(report.Windows, "window")}"
            + (report.DocumentsApart ? $" of {HumanFormat.Counted(report.Documents, "document")} one by one" : ""));
        Tokenizer(report.Tokenizer, report.VocabularySize);
        if (report.Prefix > 1)
            Row("prefix", $"the first {report.Prefix} tokens of {(report.DocumentsApart ? "every document" : "the text")} are read " +
                "together and not scored");
        Row("beginning", report.BeginningToken is { } token
            ? $"token {token} before "
                + (report.BeginningInEveryWindow ? "every window" : report.DocumentsApart ? "every document" : "the text")
            : $"none: the first token of {(report.DocumentsApart ? "every document" : "the text")} is not scored");
        Console.WriteLine("loss by tokens seen before");
        foreach (var part in report.ByPosition)
            Row(
                part.From == part.To ? $"{part.From}" : $"{part.From} to {part.To}",
                $"{Figure(part.Loss)} over {HumanFormat.Counted(part.Tokens, "token")}");
    }

    /// <summary>A model that fills in or translates, on rows of its own kind.</summary>
    internal static void Print(TargetReport report, string objective, int contextLength)
    {
        Row("perplexity", $"{Figure(report.Perplexity)} of {objective} tokens (window {contextLength}, stride {contextLength})");
        Row("loss", $"{Figure(report.MeanLoss)} nats per token, {Figure(report.BitsPerToken)} bits per token");
        BitsPerByte(report.BitsPerByte, report.Bytes);
        Row("accuracy", $"{Figure(report.Accuracy)}, {Figure(report.TopAccuracy)} among the {report.Top} most likely");
        Row("tokens scored", $"{HumanFormat.Number(report.Tokens)}, each once, in {HumanFormat.Counted(report.Rows, "row")}");
        Tokenizer(report.Tokenizer, report.VocabularySize);
    }

    internal static void Print(TranslationReport report)
    {
        Row("translation", $"{report.Bleu}");
        Row("", $"{HumanFormat.Counted(report.Pairs, "pair")}, {HumanFormat.Counted(report.Beams, "beam")}, length penalty " +
            $"{report.LengthPenalty.ToString(CultureInfo.InvariantCulture)}");
        Row("copying the source", $"BLEU {report.CopyBleu.Score.ToString("F2", CultureInfo.InvariantCulture)}");
        foreach (var (source, written, target) in report.Examples)
        {
            Row("  source", source);
            Row("  translated", written);
            Row("  known", target);
        }
    }

    /// <summary>Pairs of answers.</summary>
    internal static void Print(PreferenceReport report)
    {
        Row("chosen is likelier", $"{Figure(report.Accuracy)} ± {Figure(report.StandardError)} of " +
            $"{HumanFormat.Counted(report.Pairs, "pair")}, {Figure(report.TokenAccuracy)} per token");
        Row("margin", $"{Figure(report.Margin)} nats between whole answers");
    }

    /// <summary>Passkeys found, a line for each length, a column for each depth.</summary>
    internal static void Print(PasskeyReport report)
    {
        Row("passkeys found", $"{Figure(report.Accuracy)} over all lengths and depths; by prompt tokens (lines) and depth (columns):");
        Row("", string.Concat(report.Cells.Select(cell => cell.Depth).Distinct()
            .Select(depth => $"{depth.ToString("0.##", CultureInfo.InvariantCulture),8}")));
        foreach (var line in report.Cells.GroupBy(cell => cell.Length))
            Row($"{line.Key}", string.Concat(line.Select(cell => $"{$"{cell.Found}/{cell.Trials}",8}")));
    }

    private static void BitsPerByte(double? bits, long bytes) =>
        Row("bits per byte", bits is { } value ? $"{Figure(value)} over {HumanFormat.Bytes(bytes)}" : "none: the tokens stand for no text");

    private static void Tokenizer(string type, int size) => Row("tokenizer", $"{type}, {HumanFormat.Number(size)} tokens");

    private static string Figure(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    private static void Row(string name, string value) => Console.WriteLine($"  {name,-24} {value}");
}
