using System.CommandLine;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Training;

namespace Trainer.Cli;

/// <summary>The options of <c>corpus --template</c> that show tokens and rows.</summary>
internal sealed class ConversationTokensArguments
{
    private readonly Option<bool> tokens = new("--tokens")
    {
        Description = "With --template: show every token with its place and id; those with * are learned. Needs --tokenizer.",
    };
    private readonly Option<string?> tokenizer = new("--tokenizer")
    {
        Description = "For --tokens: a tokenizer.json, or a recipe, whose tokenizer, row length, truncation and learned turns are taken.",
        HelpName = "file",
    };
    private readonly Option<int?> context = new("--context")
    {
        Description = "For --tokens: show the rows of so many tokens that training packs, and what does not fit into them.",
        HelpName = "N",
    };
    private readonly Option<ConversationTruncation?> truncation = new("--truncation")
    {
        Description = "For --tokens: what becomes of longer conversations: right (their end is cut off), left, split or drop.",
        HelpName = "way",
    };
    private readonly Option<LearnedTurns?> learn = new("--learn")
    {
        Description = "For --tokens: what is learned: assistant, last (its last turn) or all.",
        HelpName = "turns",
    };

    internal void AddTo(Command command, Option template)
    {
        Option[] more = [tokenizer, context, truncation, learn];
        foreach (var option in (Option[])[tokens, .. more])
            command.Add(option);
        command.Validators.Add(result =>
        {
            var asked = result.GetValue(tokens);
            if (asked && !result.Has(template))
                result.AddError("--tokens shows how a template writes conversations: give --template, or leave it out.");
            if (asked && result.GetValue(tokenizer) is null)
                result.AddError("--tokens needs --tokenizer: a tokenizer.json, or a recipe.");
            if (!asked && Array.Find(more, result.Has) is { } lone)
                result.AddError($"{lone.Name} is for --tokens: give it, or leave {lone.Name} out.");
            if (result.GetValue(context) < 1)
                result.AddError($"--context is {result.GetValue(context)}; it must be 1 or more.");
        });
    }

    internal bool AreAsked(ParseResult parsed) => parsed.GetValue(tokens);

    /// <summary>What is not given is taken from a recipe, if that is the tokenizer.</summary>
    internal ConversationTokensListing Listing(ParseResult parsed, ConversationTemplate template, ConversationOptions options, bool json)
    {
        var path = parsed.GetRequiredValue(tokenizer)!;
        var length = parsed.GetValue(context);
        Tokenizer loaded;
        if (IsRecipe(path))
        {
            var recipe = ConfigurationLoader.Load<Recipe>(path, []).Value;
            var learned = recipe.Tokenizer ?? throw new UsageException(
                $"{recipe.Name} reads pictures or time series, which have no tokenizer; give a recipe of texts to --tokenizer");
            loaded = TokenizerTraining.Train(recipe.Data, learned, TrainingRequest.DefaultDatasetsDirectory, new StandardError());
            options = options with
            {
                Learn = recipe.Data.Chat?.Learn ?? options.Learn, Truncation = recipe.Data.Chat?.Truncation ?? options.Truncation,
            };
            length ??= recipe.Data.RowLength(recipe.Model.ContextLength);
        }
        else
            loaded = Tokenizer.Load(path);
        return new ConversationTokensListing(template, loaded, options with
        {
            Learn = parsed.GetValue(learn) ?? options.Learn, Truncation = parsed.GetValue(truncation) ?? options.Truncation,
        }, length, json);
    }

    // A tokenizer.json has neither section.
    private static bool IsRecipe(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path), new()
            {
                CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true,
            });
            return json.RootElement.ValueKind == JsonValueKind.Object
                && (json.RootElement.TryGetProperty("data", out _) || json.RootElement.TryGetProperty("extends", out _));
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            return false; // said by Tokenizer.Load
        }
    }
}
