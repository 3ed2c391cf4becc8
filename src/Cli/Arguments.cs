using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Reflection;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation;
using Trainer.Models.Devices;
using Trainer.Training;

namespace Trainer.Cli;

internal sealed class RecipeArguments(bool optional = false)
{
    private readonly Argument<string> file = new("config")
    {
        Description = "The recipe, a JSON file such as configs/dotnet-docs.json.",
        Arity = optional ? ArgumentArity.ZeroOrOne : ArgumentArity.ExactlyOne,
    };

    private readonly Option<string[]> settings =
        SettingsOption.Create("A setting laid over the recipe, such as training.steps=100; may be repeated.");

    internal void AddTo(Command command)
    {
        command.Add(file);
        command.Add(settings);
    }

    internal bool IsNamed(CommandResult result) => result.GetValue(file) is not null;

    internal bool IsGiven(CommandResult result) => IsNamed(result) || result.GetValue(settings) is { Length: > 0 };

    /// <summary>Throws with everything that is wrong with the recipe.</summary>
    internal LoadedConfiguration<Recipe> Load(ParseResult parsed) =>
        ConfigurationLoader.Load<Recipe>(parsed.GetRequiredValue(file), parsed.GetValue(settings) ?? []);
}

internal static class GivenOptions
{
    /// <summary>Whether an option stands on the command line; one that has a default counts only where it does.</summary>
    internal static bool Has(this SymbolResult result, Option option) => result.GetResult(option) is { Implicit: false };

    /// <summary>Refuses a comma, which would be read as one of thousands: 0,5 as 5.</summary>
    internal static Option<T> WithPoint<T>(this Option<T> option)
    {
        option.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => token.Value.Contains(',')))
                result.AddError($"{option.Name} is {token.Value}; write a point for the comma, such as 0.5");
        });
        return option;
    }

    /// <inheritdoc cref="Has(SymbolResult, Option)"/>
    internal static bool Has(this ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };
}

/// <summary>The option <c>--set</c>.</summary>
internal static class SettingsOption
{
    internal static Option<string[]> Create(string description) => new("--set")
    {
        Description = description,
        HelpName = "path=value",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = true,
    };
}

/// <summary>The option <c>--device</c> of verbs without a recipe; its values are those of training.device.</summary>
internal static class DeviceArgument
{
    private static readonly Dictionary<string, DeviceChoice> Choices = Enum.GetValues<DeviceChoice>().ToDictionary(
        choice => typeof(DeviceChoice).GetField(choice.ToString())!.GetCustomAttribute<JsonStringEnumMemberNameAttribute>()!.Name,
        StringComparer.OrdinalIgnoreCase);

    public static Option<DeviceChoice> Create()
    {
        Option<DeviceChoice> option = new("--device")
        {
            Description = "auto, cpu, cuda (the first GPU) or cuda:1 (the second).",
            DefaultValueFactory = _ => DeviceChoice.Auto,
            CustomParser = Parse,
        };
        option.CompletionSources.Add([.. Choices.Keys]);
        return option;
    }

    private static DeviceChoice Parse(ArgumentResult argument)
    {
        if (argument.Tokens is [var token] && Choices.TryGetValue(token.Value, out var choice)) return choice;
        argument.AddError($"--device '{string.Join(' ', argument.Tokens.Select(token => token.Value))}' is not allowed; allowed: " +
            $"{string.Join(", ", Choices.Keys)}");
        return DeviceChoice.Auto;
    }
}

/// <summary>The option <c>--base</c> of verbs that read a checkpoint.</summary>
internal static class BaseOption
{
    internal static Option<string?> Create() => new("--base")
    {
        Description = "Where the base of a checkpoint that holds an adapter lies now, if it was moved: the weights must be those that " +
            "the adapter was trained on.",
        HelpName = "checkpoint",
    };
}

internal static class PrecisionArgument
{
    internal static Option<InferencePrecision> Create(string price) => new("--precision")
    {
        Description = $"How matrices are held and multiplied: Float32; BFloat16, which is faster on some machines; or, on the CPU, " +
            $"Int8: blocks of 8 bits, a quarter of the memory, and fastest a token at a time for models larger than the caches. Fewer " +
            $"bits {price}.",
        DefaultValueFactory = _ => InferencePrecision.Float32,
    };
}

internal static class TokenArguments
{
    /// <summary>One token, by its name in the tokenizer or by its id.</summary>
    internal static int Id(Tokenizer tokenizer, string token, string option) =>
        BeginningOfSequence.Find(tokenizer, token) ?? throw new ConfigurationException(
            [new Problem(option, $"\"{token}\" is no token of this tokenizer ({tokenizer.Type}): neither a name in its vocabulary nor " +
                $"an id from 0 to {tokenizer.VocabularySize - 1}")], "command line");

    /// <summary>A list of ids of the vocabulary, such as <c>1,2,3</c>.</summary>
    internal static int[] Ids(string list, int vocabularySize, string option)
    {
        var entries = list.Split(',', StringSplitOptions.TrimEntries);
        var ids = new int[entries.Length];
        for (var i = 0; i < ids.Length; i++)
            if (!int.TryParse(entries[i], NumberStyles.None, CultureInfo.InvariantCulture, out ids[i]) || ids[i] >= vocabularySize)
                throw new ConfigurationException(
                    [new Problem(option, $"entry {i} is \"{entries[i]}\"; give token ids from 0 to {vocabularySize - 1} separated by " +
                        "commas, such as 1,2,3")], "command line");
        return ids;
    }

    /// <summary>A list of lengths, such as <c>128,256</c>.</summary>
    internal static int[] Lengths(string list, string option)
    {
        var entries = list.Split(',', StringSplitOptions.TrimEntries);
        var lengths = new int[entries.Length];
        for (var i = 0; i < lengths.Length; i++)
            if (!int.TryParse(entries[i], NumberStyles.None, CultureInfo.InvariantCulture, out lengths[i]) || lengths[i] < 1)
                throw new ConfigurationException([new Problem(option, $"entry {i} is \"{entries[i]}\"; give numbers of tokens " +
                    "separated by commas, such as 256,512,1024")], "command line");
        return lengths;
    }
}
