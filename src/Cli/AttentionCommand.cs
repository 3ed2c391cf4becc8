using System.CommandLine;
using Trainer.Checkpoints;
using Trainer.Evaluation.Attention;
using Trainer.Models.Devices;
using Trainer.Reporting;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

internal static class AttentionCommand
{
    private static readonly Argument<string> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
    };
    private static readonly Option<string> Text = new("--text")
    {
        Description = "The text to read; for an encoder-decoder what its decoder writes.",
        Required = true,
    };
    private static readonly Option<string?> Read = new("--source") { Description = "What the encoder of an encoder-decoder reads." };
    private static readonly Option<string> Output = new("--output")
    {
        Description = "The page to write.",
        HelpName = "file",
        DefaultValueFactory = _ => "attention.html",
    };
    private static readonly Option<string?> Json = new("--json")
    {
        Description = "Write the map to this file, too: report shows every attention*.json in a run directory.",
        HelpName = "file",
    };
    private static readonly Option<DeviceChoice> Device = DeviceArgument.Create();

    internal static Command Create()
    {
        var command = new Command("attention", "Writes one HTML page, which needs no network, with a picture of every layer and head.")
        {
            Source, Text, Read, Output, Json, Device,
        };
        command.SetAction(Write);
        return command;
    }

    private static int Write(ParseResult parsed)
    {
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source));
        using var model = checkpoint.LoadModel(DeviceSelection.Choose(parsed.GetValue(Device)));
        var name = $"{checkpoint.Configuration.Name}, {Path.GetFileName(Path.TrimEndingDirectorySeparator(checkpoint.Directory))}";
        var map = new AttentionReader(model, checkpoint.Tokenizer).Read(name, parsed.GetRequiredValue(Text), parsed.GetValue(Read));
        var output = parsed.GetRequiredValue(Output);
        AttentionPage.Write(map, output);
        if (parsed.GetValue(Json) is { } file) AttentionPage.WriteMap(map, file);
        var stacks = string.Join("; ", map.Stacks.Select(stack => $"{stack.Name}: {HumanFormat.Counted(stack.Layers.Count, "layer")}, " +
            $"{HumanFormat.Counted(stack.Queries.Count, "token")}"));
        Console.WriteLine($"{output}: {stacks}, {HumanFormat.Bytes(new FileInfo(output).Length)}");
        return ExitCode.Done;
    }
}
