using System.CommandLine;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Data.Numbers;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

internal static class InspectCommand
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    internal static Command Create()
    {
        var source = new Argument<string>("checkpoint") { Description = "A checkpoint or run directory (its best, else its newest)." };
        var json = new Option<bool>("--json") { Description = "Print one JSON object." };
        var command = new Command("inspect", "Verifies a checkpoint and prints what it holds.") { source, json };
        command.SetAction(parsed => Inspect(parsed.GetRequiredValue(source), parsed.GetValue(json)));
        return command;
    }

    private static int Inspect(string path, bool json)
    {
        var contents = CheckpointContents.Of(path);
        if (json) Console.WriteLine(JsonSerializer.Serialize(contents, Json));
        else Print(contents);
        return ExitCode.Done;
    }

    private static CountedUnit Counted(CheckpointContents contents) => contents.Preprocessor switch
    {
        null => CountedUnit.Tokens,
        ImagePreprocessor => CountedUnit.Pictures,
        _ => CountedUnit.Values,
    };

    private static void Print(CheckpointContents contents)
    {
        var trained = contents.Base is null ? "" : $", of which {HumanFormat.Number(contents.StoredParameters)} are trained and here";
        Console.WriteLine($"{contents.Directory}: {contents.Name}, {HumanFormat.Parameters(contents.Parameters)} parameters{trained}, " +
            "every file verified");
        if (contents.Training is { } state)
        {
            Row("step", $"{HumanFormat.Number(state.Step)}, {HumanFormat.Compact(state.Tokens)} " +
                $"{Counted(contents).Many}, epoch {state.Epoch}, window {HumanFormat.Number(state.Window)}");
            if (state.BestLoss is { } loss)
                Row("best validation loss", $"{HumanFormat.Loss(loss)} at step {HumanFormat.Number(state.BestStep!.Value)}");
        }

        if (contents.Base is { } original) Row("adapter on", $"{original.Base}, SHA-256 {original.Sha256}");
        switch (contents.Preprocessor)
        {
            case ImagePreprocessor images:
                Row("classes", string.Join(", ", images.Classes));
                break;
            case SeriesPreprocessor series:
                Row("variables", string.Join(", ", series.Variables));
                Row("forecasts", HumanFormat.Counted(series.Horizon, "value"));
                break;
            default:
                Row("tokenizer", $"{contents.Tokenizer}, {HumanFormat.Number(contents.VocabularySize)} tokens");
                break;
        }
        Console.WriteLine("files");
        foreach (var file in contents.Files) Console.WriteLine($"  {file.Name,-24} {HumanFormat.Bytes(file.Bytes),10}  {file.Sha256}");
        Console.WriteLine("tensors");
        var width = contents.Tensors.Max(tensor => tensor.Name.Length);
        foreach (var tensor in contents.Tensors)
            Console.WriteLine($"  {tensor.Name.PadRight(width)}  {tensor.Type,-8} [{string.Join(", ", tensor.Shape)}]");
    }

    private static void Row(string name, string value) => Console.WriteLine($"  {name,-24} {value}");
}
