using System.CommandLine;
using Trainer.Configuration;
using Trainer.Training;

namespace Trainer.Cli;

/// <summary>The recipe on a command line: its file and the settings laid over it.</summary>
internal sealed class RecipeArguments
{
    private readonly Argument<string> file = new("config") { Description = "The recipe, a JSON file such as configs/dotnet-docs.json." };

    private readonly Option<string[]> settings = new("--set")
    {
        Description = "A setting laid over the recipe, such as training.steps=100; may be repeated.",
        HelpName = "path=value",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>Adds both to a verb.</summary>
    internal void AddTo(Command command)
    {
        command.Add(file);
        command.Add(settings);
    }

    /// <summary>Loads the recipe with every layer over it.</summary>
    /// <exception cref="ConfigurationException">Something is wrong with it; everything that is, is listed.</exception>
    internal LoadedConfiguration<Recipe> Load(ParseResult parsed) =>
        ConfigurationLoader.Load<Recipe>(parsed.GetRequiredValue(file), parsed.GetValue(settings) ?? []);
}
