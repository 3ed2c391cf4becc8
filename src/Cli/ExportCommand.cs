using System.CommandLine;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using static TorchSharp.torch;

namespace Trainer.Cli;

internal static partial class ExportCommand
{
    private const string HuggingFace = "huggingface", Gguf = "gguf", Peft = "peft";

    private static readonly Argument<string> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
    };
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<string> Format = new("--format")
    {
        Description = "huggingface: a directory for transformers and vLLM; gguf: a file for llama.cpp; peft: the adapter alone, for PEFT.",
        Required = true,
    };
    private static readonly Option<string> Output = new("--output")
    {
        Description = "The directory or file to write.",
        HelpName = "path",
        Required = true,
    };
    private static readonly Option<string> Type = new("--type")
    {
        Description = "How matrices are stored; those with q in a GGUF only.",
        DefaultValueFactory = _ => "f32",
    };

    private static readonly Option<string?> ShardLimit = new("--max-shard-size")
    {
        Description = "What one safetensors file may hold, such as 500MB or 5GB, in a Hugging Face checkpoint; by default 5GB.",
        HelpName = "size",
    };

    private static readonly Dictionary<string, ScalarType> TensorTypes = new()
    {
        ["f32"] = ScalarType.Float32, ["f16"] = ScalarType.Float16, ["bf16"] = ScalarType.BFloat16,
    };

    private static readonly Dictionary<string, GgufType> GgufTypes = new()
    {
        ["f32"] = GgufType.F32, ["f16"] = GgufType.F16, ["bf16"] = GgufType.BF16, ["q8_0"] = GgufType.Q8_0,
    };

    internal static Command Create()
    {
        Format.AcceptOnlyFromAmong(HuggingFace, Gguf, Peft);
        List<string> types = [.. GgufTypes.Keys];
        var command = new Command("export", "Writes a checkpoint in the format of the programs that serve models.")
        {
            Source, Base, Format, Output, Type, ShardLimit,
        };
        AddLlamaCpp(command, types);
        Type.AcceptOnlyFromAmong([.. types]);
        command.Validators.Add(result =>
        {
            if (result.GetValue(Format) is HuggingFace or Peft && result.GetValue(Type) is { } type && !TensorTypes.ContainsKey(type))
                result.AddError($"--type is {type}, which Hugging Face checkpoints do not have; use " +
                    $"{string.Join(", ", TensorTypes.Keys)}, or --format gguf.");
            if (result.GetValue(ShardLimit) is not { } size) return;
            if (!ShardSize.TryParse(size, out _))
                result.AddError($"--max-shard-size is '{size}'; use a number and KB, MB, GB or TB, such as 500MB or 5GB.");
            if (result.GetValue(Format) == Peft)
                result.AddError("--max-shard-size splits large models, and an adapter is one file: leave it out.");
            if (result.GetValue(Format) == Gguf)
                result.AddError("--max-shard-size splits safetensors, and a GGUF is one file: leave it out, or use --format huggingface.");
        });
        command.SetAction(Export);
        return command;
    }

    private static int Export(ParseResult parsed)
    {
        var exitCode = ExitCode.Done;
        var written = false;
        BeforeWriting(parsed, ref written);
        if (!written) Write(parsed);
        AfterWriting(parsed, ref exitCode);
        return exitCode;
    }

    private static void Write(ParseResult parsed)
    {
        var source = Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base));
        var (output, type) = (parsed.GetRequiredValue(Output), parsed.GetRequiredValue(Type));
        var limit = parsed.GetValue(ShardLimit) is { } size && ShardSize.TryParse(size, out var shardSize) ? shardSize : ShardSize.Default;
        var family = parsed.GetRequiredValue(Format) switch
        {
            Gguf => CheckpointExport.Gguf(source, output, GgufTypes[type]),
            Peft => $"an adapter of {CheckpointExport.Peft(source, output, TensorTypes[type])}",
            _ => CheckpointExport.HuggingFace(source, output, TensorTypes[type], limit),
        };
        Console.WriteLine($"{output}: written as {family}, {type}");
    }

    // What llama.cpp is needed for; a program without it (TrainingOnly) has none of this.
    static partial void AddLlamaCpp(Command command, List<string> types);

    static partial void BeforeWriting(ParseResult parsed, ref bool written);

    static partial void AfterWriting(ParseResult parsed, ref int exitCode);
}
