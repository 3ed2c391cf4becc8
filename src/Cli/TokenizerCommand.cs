using System.CommandLine;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

internal static class TokenizerCommand
{
    internal static Command Create() =>
        new("tokenizer", "Learns a tokenizer; encodes text and decodes tokens.") { CreateTrain(), CreateEncode(), CreateDecode() };

    private static Command CreateTrain()
    {
        var recipe = new RecipeArguments();
        var output = new Option<string?>("--output")
        {
            Description = "The file to write; datasets/tokenizers/<name>/tokenizer.json if not given.",
            HelpName = "file",
        };
        var command = new Command("train", "Learns the tokenizer of a recipe from its data.train, and writes tokenizer.json.") { output };
        recipe.AddTo(command);
        command.SetAction(parsed => Train(recipe.Load(parsed).Value, parsed.GetValue(output)));
        return command;
    }

    private static Command CreateEncode()
    {
        var file = File();
        var command = new Command("encode", "Reads JSON strings, one a line, from standard input; writes arrays of their token ids. " +
            "No special tokens are added.") { file };
        command.SetAction(parsed => Stream(parsed.GetRequiredValue(file), TokenizerLines.Encode));
        return command;
    }

    private static Command CreateDecode()
    {
        var file = File();
        var command = new Command("decode", "Reads JSON arrays of token ids, one a line, from standard input; writes the texts as " +
            "JSON strings.") { file };
        command.SetAction(parsed => Stream(parsed.GetRequiredValue(file), TokenizerLines.Decode));
        return command;
    }

    private static Argument<string> File() => new("tokenizer.json")
    {
        Description = "The tokenizer: Hugging Face's file of that name, or one that tokenizer train wrote.",
    };

    private static int Train(Recipe recipe, string? output)
    {
        var options = recipe.Tokenizer ?? throw new UsageException(
            $"{recipe.Name} reads pictures or time series, which have no tokenizer; use tokenizer train with a recipe of texts");
        var tokenizer = TokenizerTraining.Train(recipe.Data, options, TrainingRequest.DefaultDatasetsDirectory,
            new StandardError());
        output ??= Path.Combine(TrainingRequest.DefaultDatasetsDirectory, "tokenizers", recipe.Name, "tokenizer.json");
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(output))!);
        tokenizer.Save(output);
        Console.WriteLine($"{output}: {tokenizer.Type}, {HumanFormat.Number(tokenizer.VocabularySize)} tokens");
        return ExitCode.Done;
    }

    private static int Stream(string path, Action<Tokenizer, Stream, Stream> answer)
    {
        var tokenizer = Tokenizer.Load(path);
        using var input = Console.OpenStandardInput();
        using var output = Console.OpenStandardOutput();
        answer(tokenizer, input, output);
        return ExitCode.Done;
    }
}
