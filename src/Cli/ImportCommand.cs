using System.CommandLine;
using Trainer.Checkpoints.Adapters;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Reporting.Monitoring;

namespace Trainer.Cli;

internal static class ImportCommand
{
    internal static Command Create()
    {
        var source = new Argument<string>("huggingface-dir")
        {
            Description = "A directory with config.json, safetensors and tokenizer.json.",
        };
        var output = new Option<string>("--output")
        {
            Description = "The checkpoint directory to write.",
            HelpName = "directory",
            Required = true,
        };
        var original = new Option<string?>("--base")
        {
            Description = "The checkpoint that an adapter goes on, where the directory is what PEFT writes.",
            HelpName = "checkpoint",
        };
        var command = new Command("import", "Makes a checkpoint out of a Hugging Face model, or of an adapter of PEFT's.")
        {
            source, output, original,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(source) is not { } directory || !Directory.Exists(directory)) return;
            bool adapter = PeftImport.IsAdapter(directory), given = result.GetValue(original) is not null;
            if (adapter && !given) result.AddError($"{directory} holds an adapter: give the checkpoint that it goes on as --base.");
            if (!adapter && given) result.AddError($"--base is for adapters, and {directory} has no adapter_config.json: leave it out.");
        });
        command.SetAction(parsed => parsed.GetValue(original) is { } checkpoint
            ? Import(parsed.GetRequiredValue(source), checkpoint, parsed.GetRequiredValue(output))
            : Import(parsed.GetRequiredValue(source), parsed.GetRequiredValue(output)));
        return command;
    }

    private static int Import(string source, string original, string output)
    {
        var matrices = PeftImport.Run(source, original, output);
        Console.WriteLine($"{output}: an adapter of {HumanFormat.Number(matrices)} matrices on {original}");
        return ExitCode.Done;
    }

    private static int Import(string source, string output)
    {
        var report = HuggingFaceImport.Run(source, output, new StandardError().Report);
        Console.WriteLine($"{output}: {report.Family}, {HumanFormat.Parameters(report.Parameters)} parameters");
        return ExitCode.Done;
    }
}
