using System.CommandLine;
using Trainer.Configuration;
using Trainer.Evaluation.Generation;
using Trainer.Training;
using Trainer.Training.Checkpoints;

namespace Trainer.Cli;

/// <summary><c>generate</c>: continues a text with a trained model.</summary>
internal static class GenerateCommand
{
    private static readonly GenerationOptions Defaults = new();
    private static readonly Argument<string> Source = new("checkpoint") { Description = "A checkpoint or run directory (its best, else its newest)." };
    private static readonly Option<string> Prompt = new("--prompt") { Description = "The text to continue.", Required = true };
    private static readonly Option<int> Tokens = new("--tokens") { Description = "How many tokens to add.", DefaultValueFactory = _ => Defaults.Tokens };
    private static readonly Option<double> Temperature = new("--temperature") { Description = "Below 1 sharper, above 1 flatter, 0 greedy.", DefaultValueFactory = _ => Defaults.Sampling.Temperature };
    private static readonly Option<int?> TopK = new("--top-k") { Description = "Draw only from the k most likely tokens." };
    private static readonly Option<double?> TopP = new("--top-p") { Description = "Draw only from the most likely tokens that together have probability p." };
    private static readonly Option<long> Seed = new("--seed") { Description = "The same seed gives the same text.", DefaultValueFactory = _ => Defaults.Sampling.Seed };
    private static readonly Option<bool> Greedy = new("--greedy") { Description = "Always take the most likely token." };
    private static readonly Option<DeviceChoice> Device = new("--device") { Description = "auto, cpu or cuda.", DefaultValueFactory = _ => DeviceChoice.Auto };

    internal static Command Create()
    {
        var command = new Command("generate", "Continues a text; streams it to standard output.")
        {
            Source, Prompt, Tokens, Temperature, TopK, TopP, Seed, Greedy, Device,
        };
        command.SetAction(Generate);
        return command;
    }

    private static int Generate(ParseResult parsed)
    {
        var options = Options(parsed);
        Require(options);
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source));
        var device = DeviceSelection.Choose(parsed.GetValue(Device));
        using var model = checkpoint.LoadModel(device);
        var prompt = parsed.GetRequiredValue(Prompt);
        var generator = new TextGenerator(model, checkpoint.Tokenizer, device);
        var pieces = generator.Stream(prompt, options);
        Console.Write(prompt);
        foreach (var piece in pieces) Console.Write(piece);
        Console.WriteLine();
        return ExitCode.Done;
    }

    private static GenerationOptions Options(ParseResult parsed) => new()
    {
        Tokens = parsed.GetValue(Tokens),
        Sampling = new SamplingOptions
        {
            Temperature = parsed.GetValue(Temperature),
            TopK = parsed.GetValue(TopK),
            TopP = parsed.GetValue(TopP),
            Seed = parsed.GetValue(Seed),
            Greedy = parsed.GetValue(Greedy),
        },
    };

    private static void Require(GenerationOptions options)
    {
        Problem[] problems = [.. options.Validate().Select(problem => problem with { Path = "" })];
        if (problems.Length > 0) throw new ConfigurationException(problems);
    }
}
