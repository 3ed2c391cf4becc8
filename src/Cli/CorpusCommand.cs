using System.CommandLine;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Chat;
using Trainer.Data.Corpora;
using Trainer.Reporting.Monitoring;
using Trainer.Training;

namespace Trainer.Cli;

internal static class CorpusCommand
{
    private const long Shown = 3;

    internal static Command Create()
    {
        var paths = new Argument<string[]>("path") { Description = "Files, folders or globs.", Arity = ArgumentArity.ZeroOrMore };
        var format = new Option<SourceFormat?>("--format")
        {
            Description = "text, jsonl, parquet, chat, preferences, dotnet-docs, dotnet-docs-chat, dotnet-docs-preferences, " +
                "dotnet-translations or synthetic; " +
                "when absent, the extension of the files says.",
            HelpName = "format",
            CustomParser = result =>
            {
                try
                {
                    return JsonSerializer.Deserialize<SourceFormat>(JsonSerializer.SerializeToUtf8Bytes(result.Tokens[0].Value));
                }
                catch (JsonException)
                {
                    result.AddError($"--format is \"{result.Tokens[0].Value}\"; allowed: text, jsonl, parquet, chat, preferences, " +
                        "dotnet-docs, dotnet-docs-chat, dotnet-docs-preferences, dotnet-translations, synthetic.");
                    return null;
                }
            },
        };
        var column = new Option<string?>("--column")
        {
            Description = "The field or column that holds the text (default: text); nested ones as a.b.",
        };
        var language = new Option<string?>("--language") { Description = "The language of dotnet-translations, such as de." };
        var task = new Option<string?>("--task")
        {
            Description = "The task of synthetic: its name, such as copy, or its options as JSON: {\"type\": \"copy\", \"length\": 32}.",
            HelpName = "task",
        };
        var examples = new Option<long?>("--examples")
        {
            Description = "How many examples synthetic makes, or dotnet-docs-preferences at most.",
        };
        var seed = new Option<long?>("--seed") { Description = "What the examples of synthetic are drawn from." };
        var limit = new Option<long?>("--limit") { Description = "Read so many documents at most." };
        var json = new Option<bool>("--json") { Description = "Print the documents, one a line as a JSON string (null for nulls)." };
        var template = new Option<string?>("--template")
        {
            Description = "Show conversations (--format chat), 3 if --limit does not say how many, as this template writes them, what is " +
                "learned in colour or between [[ and ]]: chatml, llama3, mistral, gemma, zephyr, or a tokenizer_config.json.",
            HelpName = "template",
        };
        var tokens = new ConversationTokensArguments();
        var output = new Option<string?>("--output")
        {
            Description = "Write the documents to this file, as the column or field text: .parquet, .jsonl, .jsonl.gz or .jsonl.zst.",
            HelpName = "file",
        };
        var command = new Command("corpus", "Reads texts and prints how many files, documents, characters and bytes there are.")
        {
            paths, format, column, language, task, examples, seed, limit, json, template, output,
        };
        tokens.AddTo(command, template);
        command.Validators.Add(result =>
        {
            if (result.GetValue(limit) < 0)
                result.AddError($"--limit is {result.GetValue(limit)}, but must be 0 or more.");
            if (result.GetValue(output) is { } file && !DocumentFile.IsKnown(file))
                result.AddError($"--output is \"{file}\", which does not say how to write; allowed are names that end in " +
                    $"{string.Join(", ", DocumentFile.Extensions)}.");
            if (result.GetValue(template) is not null && result.GetValue(output) is not null)
                result.AddError("--template shows conversations, and --output writes texts; leave out one of them.");
        });
        command.SetAction(parsed =>
        {
            var sources = Sources(parsed.GetValue(paths) ?? [], new SourceOptions
            {
                Format = parsed.GetValue(format), Column = parsed.GetValue(column), Language = parsed.GetValue(language),
                Task = parsed.GetValue(task) is { } named ? Task(named) : null,
                Examples = parsed.GetValue(examples), Seed = parsed.GetValue(seed),
            });
            return parsed.GetValue(template) is { } chosen
                ? Show(sources, chosen, parsed.GetValue(limit) ?? Shown, parsed.GetValue(json), tokens, parsed)
                : Read(sources, parsed.GetValue(limit) ?? long.MaxValue, parsed.GetValue(json), parsed.GetValue(output));
        });
        return command;
    }

    private static IReadOnlyList<SourceOptions> Sources(string[] paths, SourceOptions options)
    {
        IReadOnlyList<SourceOptions> sources = paths.Length == 0 ? [options] : [.. paths.Select(path => options with { Path = path })];
        Problem[] problems = [.. sources.SelectMany(source => source.Validate()).Distinct()];
        if (problems.Length == 0 && options.Kind != DataKind.Text)
            throw new ConfigurationException([new("--format", "names pictures or time series, and corpus shows texts; plan shows what a " +
                "recipe makes of them")], "command line");
        return problems.Length == 0 ? sources : throw new ConfigurationException(problems);
    }

    private static SyntheticTaskOptions Task(string task) => ConfigurationJson.Deserialize<SyntheticTaskOptions>(
        task.TrimStart().StartsWith('{') ? task : JsonSerializer.Serialize(new { type = task }), "--task");

    private static int Show(IReadOnlyList<SourceOptions> sources, string template, long limit, bool json,
        ConversationTokensArguments tokens, ParseResult parsed)
    {
        var options = new ConversationOptions { Template = template };
        Problem[] problems = [.. options.Validate().Select(problem => problem with { Path = "--template" })];
        if (problems.Length > 0)
            throw new ConfigurationException(problems, "command line");
        var corpora = Open(sources);
        if (corpora.FirstOrDefault(corpus => corpus is not ConversationCorpus) is { } text)
            throw new ConfigurationException([new("--template", $"shows conversations, and {text.Name} is read as text; add --format chat, "
                + "or leave --template out")], "command line");
        var conversations = corpora.Cast<ConversationCorpus>().SelectMany(corpus => corpus.Conversations())
            .Take((int)Math.Min(limit, int.MaxValue));
        var opened = ConversationTemplate.Open(options);
        if (tokens.AreAsked(parsed))
            tokens.Listing(parsed, opened, options, json).Show([.. conversations]);
        else
            foreach (var conversation in conversations)
                new ConversationListing(opened, json).Show(conversation);
        return ExitCode.Done;
    }

    private static Corpus[] Open(IReadOnlyList<SourceOptions> sources) =>
        [.. sources.Select(source => Corpus.Open(source, "", TrainingRequest.DefaultDatasetsDirectory, new StandardError()))];

    private static int Read(IReadOnlyList<SourceOptions> sources, long limit, bool json, string? output)
    {
        var corpora = Open(sources);
        using var writer = json ? new DocumentWriter(Console.OpenStandardOutput()) : null;
        var figures = new CorpusStatistics();
        try
        {
            var pieces = figures.Count(corpora.SelectMany(corpus => corpus.Read()), limit).Select(piece =>
            {
                writer?.Add(piece);
                return piece;
            });
            if (output is not null)
                DocumentFile.Write(output, pieces);
            else
                foreach (var _ in pieces) ;
        }
        finally
        {
            writer?.Finish(); // what comes before damage is printed, too
        }
        if (!json)
            Print(corpora, figures);
        return ExitCode.Done;
    }

    private static void Print(IReadOnlyList<Corpus> corpora, CorpusStatistics figures)
    {
        var nulls = figures.Nulls > 0 ? $" ({HumanFormat.Number(figures.Nulls)} more records have none)" : "";
        Console.WriteLine($"files       {HumanFormat.Number(corpora.Sum(corpus => (long)corpus.Files.Count))}");
        Console.WriteLine($"documents   {HumanFormat.Number(figures.Documents)}{nulls}");
        Console.WriteLine($"characters  {HumanFormat.Number(figures.Characters)}");
        Console.WriteLine($"bytes       {HumanFormat.Number(figures.Bytes)}");
    }
}
