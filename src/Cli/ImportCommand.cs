using System.CommandLine;
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
        var command = new Command("import", "Makes a checkpoint out of a Hugging Face model.") { source, output };
        command.SetAction(parsed => Import(parsed.GetRequiredValue(source), parsed.GetRequiredValue(output)));
        return command;
    }

    private static int Import(string source, string output)
    {
        var report = HuggingFaceImport.Run(source, output, new StandardError().Report);
        Console.WriteLine($"{output}: {report.Family}, {HumanFormat.Parameters(report.Parameters)} parameters");
        return ExitCode.Done;
    }
}
