using System.CommandLine;
using Trainer.Data.Preparation;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

internal static class PrepareCommand
{
    internal static Command Create()
    {
        var recipe = new RecipeArguments();
        var command = new Command("prepare", "Tokenizes the texts of a recipe into datasets/; train does it itself when it is missing.");
        recipe.AddTo(command);
        command.SetAction(parsed => Prepare(recipe.Load(parsed).Value));
        return command;
    }

    private static int Prepare(Recipe recipe)
    {
        using var data = DataPreparation.Prepare(recipe.Data, recipe.Tokenizer, TrainingRequest.DefaultDatasetsDirectory,
            new StandardError());
        var vocabulary = HumanFormat.Number(data.Tokenizer.VocabularySize);
        Console.WriteLine($"{data.Directory}: {data.Sources.Count} files, vocabulary of {vocabulary}");
        Print("training", data.TrainStatistics);
        Print("validation", data.ValidationStatistics);
        return ExitCode.Done;
    }

    private static void Print(string split, SplitStatistics figures) => Console.WriteLine(
        $"  {split,-10} {HumanFormat.Number(figures.Tokens),14} tokens  {HumanFormat.Bytes(figures.Bytes),10}  " +
        $"{figures.BytesPerToken:0.00} bytes a token");
}
