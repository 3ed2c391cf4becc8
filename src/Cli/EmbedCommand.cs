using System.CommandLine;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Inference;
using Trainer.Models.Devices;

namespace Trainer.Cli;

internal static class EmbedCommand
{
    private static readonly Argument<string> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
    };
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<string[]> Texts = new("--text") { Description = "A text; may be given several times." };
    private static readonly Option<string?> Lines = new("--data") { Description = "A file with one text a line; - reads standard input." };
    private static readonly Option<Pooling> Pool = new("--pool")
    {
        Description = "How the vectors of tokens become one: mean, first or last.",
        DefaultValueFactory = _ => Pooling.Mean,
    };
    private static readonly Option<bool> Normalize = new("--normalize") { Description = "Scale every vector to length 1." };
    private static readonly Option<DeviceChoice> OnDevice = DeviceArgument.Create();

    internal static Command Create()
    {
        var command = new Command("embed", "Turns texts into vectors; prints one JSON array a line.")
        {
            Source, Base, Texts, Lines, Pool, Normalize, OnDevice,
        };
        command.SetAction(Embed);
        return command;
    }

    private static int Embed(ParseResult parsed)
    {
        string[] texts = [.. Read(parsed)];
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base));
        var device = DeviceSelection.Choose(parsed.GetValue(OnDevice));
        using var model = checkpoint.LoadModel(device);
        var embedder = new TextEmbedder(model, checkpoint.Tokenizer, device, parsed.GetValue(Pool), parsed.GetValue(Normalize));
        foreach (var vector in embedder.Embed(texts)) Console.WriteLine(JsonSerializer.Serialize(vector));
        return ExitCode.Done;
    }

    private static IEnumerable<string> Read(ParseResult parsed)
    {
        var (texts, path) = (parsed.GetValue(Texts) ?? [], parsed.GetValue(Lines));
        if (texts.Length == 0 && path is null)
            throw new ConfigurationException([new("", "there is nothing to embed; give --text \"…\", or --data with a file of one " +
                "text a line")]);
        if (path is not null and not "-" && !File.Exists(path))
            throw new UserException($"{path}: there is no such file; --data takes a file of one text a line");
        return texts.Concat(path is null ? []
            : path == "-" ? Console.In.ReadToEnd().Split(["\r\n", "\n"], StringSplitOptions.RemoveEmptyEntries)
            : File.ReadLines(path).Where(line => line.Length > 0));
    }
}
