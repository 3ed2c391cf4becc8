using System.CommandLine;
using Trainer.Training.Conversion;
using static TorchSharp.torch;

namespace Trainer.Cli;

/// <summary><c>export</c>: a checkpoint in the format of the programs that serve models.</summary>
internal static class ExportCommand
{
    private static readonly Argument<string> Source = new("checkpoint") { Description = "A checkpoint or run directory (its best, else its newest)." };
    private static readonly Option<string> Format = new("--format") { Description = "huggingface, a directory for transformers and vLLM.", Required = true };
    private static readonly Option<string> Output = new("--output") { Description = "What to write.", HelpName = "path", Required = true };
    private static readonly Option<string> Type = new("--type") { Description = "The type of the weights: float32, float16 or bfloat16.", DefaultValueFactory = _ => "float32" };

    private static readonly Dictionary<string, ScalarType> Types = new()
    {
        ["float32"] = ScalarType.Float32, ["float16"] = ScalarType.Float16, ["bfloat16"] = ScalarType.BFloat16,
    };

    internal static Command Create()
    {
        Format.AcceptOnlyFromAmong("huggingface");
        Type.AcceptOnlyFromAmong([.. Types.Keys]);
        var command = new Command("export", "Writes a checkpoint in the format of the programs that serve models.") { Source, Format, Output, Type };
        command.SetAction(Export);
        return command;
    }

    private static int Export(ParseResult parsed)
    {
        var output = parsed.GetRequiredValue(Output);
        var family = CheckpointExport.HuggingFace(parsed.GetRequiredValue(Source), output, Types[parsed.GetRequiredValue(Type)]);
        Console.WriteLine($"{output}: written as {family}");
        return ExitCode.Done;
    }
}
