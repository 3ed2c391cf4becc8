using System.CommandLine;
using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Data.Preparation;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

internal static class PrepareCommand
{
    internal static Command Create()
    {
        var recipe = new RecipeArguments();
        var command = new Command(
            "prepare", "Tokenizes the texts of a recipe, or reads its pictures or time series, into datasets/; train does it itself when " +
            "it is missing.");
        recipe.AddTo(command);
        command.SetAction(parsed => Prepare(recipe.Load(parsed).Value));
        return command;
    }

    private static int Prepare(Recipe recipe)
    {
        using var prepared = RecipeData.Prepare(recipe, TrainingRequest.DefaultDatasetsDirectory, new StandardError());
        if (prepared is NumberData numbers) return Print(numbers);
        var data = (PreparedData)prepared;
        var vocabulary = HumanFormat.Number(data.Tokenizer.VocabularySize);
        Console.WriteLine($"{data.Directory}: {data.Sources.Count} files, vocabulary of {vocabulary}");
        Print("training", data.TrainStatistics);
        Print("validation", data.ValidationStatistics);
        if (ConversationFit.Of(data.Train, recipe.Data, recipe.Data.RowLength(recipe.Model.ContextLength)) is { } fit)
            Console.WriteLine($"  training: {DataSection.Describe(fit)}");
        return ExitCode.Done;
    }

    private static int Print(NumberData data)
    {
        var (unit, outputs) = data.Preprocessor is ImagePreprocessor images
            ? ("pictures", $"classes {string.Join(", ", images.Classes)}")
            : ("windows", $"variables {string.Join(", ", ((SeriesPreprocessor)data.Preprocessor).Variables)}");
        Console.WriteLine($"{data.Directory}: {data.Sources.Count} files, {outputs}");
        foreach (var (name, split) in new[] { ("training", data.Train), ("validation", data.Validation) })
            Console.WriteLine($"  {name,-10} {HumanFormat.Number(split.Count),14} {unit}");
        return ExitCode.Done;
    }

    private static void Print(string split, SplitStatistics figures) => Console.WriteLine(
        $"  {split,-10} {HumanFormat.Number(figures.Tokens),14} tokens  {HumanFormat.Bytes(figures.Bytes),10}  " +
        $"{figures.BytesPerToken:0.00} bytes a token");
}
