using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Scoring;
using Trainer.Models.Devices;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

internal static class ScoreCommand
{
    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly Argument<string> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
    };
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<string?> Text = new("--text") { Description = "The text to score.", HelpName = "text" };
    private static readonly Option<string?> Tokens = new("--tokens")
    {
        Description = "Token ids to score as they are, such as 1,2,3.",
        HelpName = "ids",
    };
    private static readonly Option<string?> Data = new("--data")
    {
        Description = "A file, a folder or a glob to score as one text.",
        HelpName = "path",
    };
    private static readonly Option<string?> SourceText = new("--source")
    {
        Description = "The text that an encoder-decoder reads.",
        HelpName = "text",
    };
    private static readonly Option<string?> SourceTokens = new("--source-tokens")
    {
        Description = "Token ids that an encoder-decoder reads, as they are.",
        HelpName = "ids",
    };
    private static readonly Option<string?> Json = new("--json")
    {
        Description = "Write {\"tokens\": […], \"negativeLogLikelihood\": […]} to this file.",
        HelpName = "file",
    };
    private static readonly Option<string?> Logits = new("--logits")
    {
        Description = "Write the raw logits (tokens × vocabulary, float32) to this file, as the tensor logits of a safetensors file.",
        HelpName = "file",
    };
    private static readonly Option<string?> Output = new("--output")
    {
        Description = "Write a table to this .parquet file: document, position, token, text, negativeLogLikelihood. Each document of " +
            "--data is scored by itself.", HelpName = "file",
    };
    private static readonly Option<DeviceChoice> Device = DeviceArgument.Create();

    internal static Command Create()
    {
        var command = new Command("score", "Prints -log p of each token of a text. A decoder's first token has none; an encoder's " +
            "tokens are each hidden in turn and guessed from all others.")
        {
            Source, Base, Text, Tokens, Data, SourceText, SourceTokens, Json, Logits, Output, Device,
        };
        command.Validators.Add(result =>
        {
            if (new[] { Text, Tokens, Data }.Count(option => result.GetValue(option) is not null) != 1)
                result.AddError("score needs one of --text, --tokens and --data: what is to be scored?");
            if (result.GetValue(SourceText) is not null && result.GetValue(SourceTokens) is not null)
                result.AddError("--source and --source-tokens say the same thing: give one of them.");
            if (result.GetValue(Output) is { } table && !table.EndsWith(".parquet", StringComparison.OrdinalIgnoreCase))
                result.AddError($"--output is \"{table}\", but a table is written as Parquet: let its name end in .parquet.");
            if (result.GetValue(Output) is not null && (result.GetValue(Json) ?? result.GetValue(Logits)) is not null)
                result.AddError("--output scores documents, --json and --logits one text: give one of them.");
        });
        command.SetAction(Score);
        return command;
    }

    private static int Score(ParseResult parsed)
    {
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base));
        var device = DeviceSelection.Choose(parsed.GetValue(Device));
        using var model = checkpoint.LoadModel(device);
        var scorer = SequenceScorer.For(model, checkpoint.Tokenizer, checkpoint.SequenceTokens);
        if (parsed.GetValue(Output) is { } table) return WriteTable(table, parsed, checkpoint, scorer);
        var tokens = ToScore(parsed, checkpoint, scorer);
        using var logits = scorer.Logits(tokens, SourceOf(parsed, checkpoint, scorer));
        if (parsed.GetValue(Logits) is { } file) Safetensors.Write(file, [("logits", logits)]);
        var scores = Scores(scorer, tokens, logits, required: parsed.GetValue(Logits) is null);
        if (parsed.GetValue(Json) is { } json) JsonFile.WriteLine(json, scores);
        Print(checkpoint.Tokenizer, scores, eachToken: parsed.GetValue(Json) is null && parsed.GetValue(Logits) is null);
        return ExitCode.Done;
    }

    private static int WriteTable(string path, ParseResult parsed, Checkpoint checkpoint, SequenceScorer scorer)
    {
        var source = SourceOf(parsed, checkpoint, scorer);
        var table = new ScoreTable(scorer, checkpoint.Tokenizer);
        table.Write(path, parsed.GetValue(Data) is { } data
            ? scorer.EncodeDocuments(data, TrainingRequest.DefaultDatasetsDirectory, new StandardError())
            : [(1, ToScore(parsed, checkpoint, scorer))], source);
        var summary = Summary(table.Tokens, table.Scored, table.Total);
        Console.WriteLine($"{path}: {HumanFormat.Counted(table.Documents, "document")}, {summary}");
        return ExitCode.Done;
    }

    /// <summary>The scores; null for each token where the model has none and only its logits were asked for.</summary>
    private static TokenScores Scores(SequenceScorer scorer, int[] tokens, torch.Tensor logits, bool required)
    {
        if (required || scorer.WhyUnsupported is not { } reason) return scorer.Score(tokens, logits);
        Console.Error.WriteLine(reason);
        return new TokenScores(tokens, new double?[tokens.Length]);
    }

    private static int[]? SourceOf(ParseResult parsed, Checkpoint checkpoint, SequenceScorer scorer) =>
        parsed.GetValue(SourceText) is { } text ? scorer.EncodeSource(text)
        : parsed.GetValue(SourceTokens) is { } list ? TokenArguments.Ids(list, checkpoint.Tokenizer.VocabularySize, "--source-tokens")
        : null;

    private static int[] ToScore(ParseResult parsed, Checkpoint checkpoint, SequenceScorer scorer)
    {
        if (parsed.GetValue(Text) is { } text) return scorer.Encode(text);
        if (parsed.GetValue(Tokens) is { } list) return TokenArguments.Ids(list, checkpoint.Tokenizer.VocabularySize, "--tokens");
        return scorer.EncodeAll(parsed.GetRequiredValue(Data)!, TrainingRequest.DefaultDatasetsDirectory, new StandardError());
    }

    private static void Print(Tokenizer tokenizer, TokenScores scores, bool eachToken)
    {
        if (eachToken)
            foreach (var (id, loss) in scores.Tokens.Zip(scores.NegativeLogLikelihood))
                Console.WriteLine($"{id,8}  {(loss is { } nats ? Figure(nats) : "-"),10}  " +
                    $"{JsonSerializer.Serialize(Encoding.UTF8.GetString(tokenizer.TokenBytes(id)), Readable)}");
        Console.WriteLine(Summary(scores.Tokens.Count, scores.Scored, scores.Total));
    }

    private static string Summary(long tokens, long scored, double total) => scored == 0
        ? $"{tokens} tokens, none of them scored"
        : $"{tokens} tokens, {scored} scored: {Figure(total)} nats, {Figure(total / scored)} nats per token, perplexity " +
          $"{Figure(Math.Exp(total / scored))}";

    private static string Figure(double value) => value.ToString("F4", CultureInfo.InvariantCulture);
}
