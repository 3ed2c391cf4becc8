using System.CommandLine;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
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
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<string?> Text = new("--text")
    {
        Description = "The text to read; for an encoder-decoder what its decoder writes.",
    };
    private static readonly Option<string?> Data = new("--data")
    {
        Description = "For a model of pictures the PNG file to read; for one of time series the table, of which the last stretch is read.",
        HelpName = "file",
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
            Source, Base, Text, Data, Read, Output, Json, Device,
        };
        command.Validators.Add(result =>
        {
            if ((result.GetValue(Text) is null) == (result.GetValue(Data) is null))
                result.AddError("attention needs --text, or for a model of pictures or time series --data: what is to be read?");
            if (result.GetValue(Data) is not null && result.GetValue(Read) is not null)
                result.AddError("--source is a text for an encoder-decoder: leave it out, or --data.");
        });
        command.SetAction(Write);
        return command;
    }

    private static int Write(ParseResult parsed)
    {
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base));
        var device = DeviceSelection.Choose(parsed.GetValue(Device));
        var name = $"{checkpoint.Configuration.Name}, {Path.GetFileName(Path.TrimEndingDirectorySeparator(checkpoint.Directory))}";
        var map = parsed.GetValue(Data) is { } data ? ReadData(checkpoint, device, name, data) : ReadText(parsed, checkpoint, device, name);
        var output = parsed.GetRequiredValue(Output);
        AttentionPage.Write(map, output);
        if (parsed.GetValue(Json) is { } file) AttentionPage.WriteMap(map, file);
        var stacks = string.Join("; ", map.Stacks.Select(stack => $"{stack.Name}: {HumanFormat.Counted(stack.Layers.Count, "layer")}, " +
            $"{HumanFormat.Counted(stack.Queries.Count, map.Unit == "patch" ? "position" : map.Unit)}"));
        Console.WriteLine($"{output}: {stacks}, {HumanFormat.Bytes(new FileInfo(output).Length)}");
        return ExitCode.Done;
    }

    private static AttentionMap ReadText(ParseResult parsed, Checkpoint checkpoint, torch.Device device, string name)
    {
        using var model = checkpoint.LoadModel(device);
        return new AttentionReader(model, checkpoint.Tokenizer, checkpoint.SequenceTokens)
            .Read(name, parsed.GetRequiredValue(Text)!, parsed.GetValue(Read));
    }

    private static AttentionMap ReadData(Checkpoint checkpoint, torch.Device device, string name, string data)
    {
        if (checkpoint.Model.PatchInput() is null)
            throw new UsageException($"{checkpoint.Directory} reads text; give it with --text in place of --data");
        using var model = checkpoint.LoadSequenceModel(device);
        return PatchAttention.Read(checkpoint, model, name, data);
    }
}
