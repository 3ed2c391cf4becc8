using System.CommandLine;
using System.Text;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Chat;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Cli;

internal static class GenerateCommand
{
    private const string None = "none";

    private static readonly GenerationOptions Defaults = new();
    private static readonly BeamOptions Searching = new();
    private static readonly Argument<string> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
    };
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<string> Prompt = new("--prompt")
    {
        Description = "The text to continue; for an encoder-decoder the text to read.",
        Required = true,
    };
    private static readonly Option<int> Tokens = new("--tokens")
    {
        Description = "How many tokens to add.",
        DefaultValueFactory = _ => Defaults.Tokens,
    };
    private static readonly Option<double> Temperature = new Option<double>("--temperature")
    {
        Description = "Below 1 sharper, above 1 flatter, 0 greedy.",
        DefaultValueFactory = _ => Defaults.Sampling.Temperature,
    }.WithPoint();
    private static readonly Option<int?> TopK = new("--top-k") { Description = "Draw only from the k most likely tokens." };
    private static readonly Option<double?> TopP = new Option<double?>("--top-p")
    {
        Description = "Draw only from the most likely tokens that together have probability p.",
    }.WithPoint();
    private static readonly Option<long> Seed = new("--seed")
    {
        Description = "The same seed gives the same text.",
        DefaultValueFactory = _ => Defaults.Sampling.Seed,
    };
    private static readonly Option<bool> Greedy = new("--greedy") { Description = "Always take the most likely token." };
    private static readonly Option<int?> Beams = new("--beams")
    {
        Description = "Search the most likely text, following so many beginnings at once, instead of drawing; 1 is greedy.",
    };
    private static readonly Option<double> LengthPenalty = new Option<double>("--length-penalty")
    {
        Description = "With --beams: above 0 longer texts are not put behind shorter ones (0.6 in the 2017 Transformer).",
        DefaultValueFactory = _ => Searching.LengthPenalty,
    }.WithPoint();
    private static readonly Option<string?> Beginning = new("--bos")
    {
        Description = "A token, by name or id, that the prompt begins with; none for no token. Without it the prompt begins as the " +
            "checkpoint's tokenizer.json says, as with transformers and llama.cpp.",
        HelpName = "token",
    };
    private static readonly Option<bool> Chat = new("--chat")
    {
        Description = "The prompt is what a user says: the checkpoint's chat template makes a conversation of it, and only the answer " +
            "is printed.",
    };
    private static readonly Option<string?> SystemTurn = new("--system") { Description = "With --chat: what the system says before." };
    private static readonly Option<DeviceChoice> OnDevice = DeviceArgument.Create();
    private static readonly Option<InferencePrecision> Number = PrecisionArgument.Create("may choose another token where two are " +
        "about as likely");

    internal static Command Create()
    {
        var command = new Command("generate", "Continues a text; streams it to standard output.")
        {
            Source, Base, Prompt, Tokens, Temperature, TopK, TopP, Seed, Greedy, Beams, LengthPenalty, Beginning, Chat,
            SystemTurn, OnDevice, Number,
        };
        command.SetAction(Generate);
        return command;
    }

    private static int Generate(ParseResult parsed)
    {
        var options = Options(parsed);
        Require(options);
        RequireOneWay(parsed);
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source), parsed.GetValue(Base));
        var device = DeviceSelection.Choose(parsed.GetValue(OnDevice));
        using var model = checkpoint.LoadModel(device, parsed.GetValue(Number));
        var prompt = parsed.GetRequiredValue(Prompt);
        var end = EndOfText.Of(checkpoint.Tokenizer, checkpoint.Configuration.Data.EndOfDocument);
        var generator = new TextGenerator(model, checkpoint.Tokenizer, device, end, BeginningOf(parsed, model, checkpoint.Tokenizer),
            messageEnds: checkpoint.EndTokens, special: checkpoint.SequenceTokens);
        if (parsed.GetValue(Chat))
            return Answer(generator.Answer(Messages(parsed), Template(checkpoint), options));
        var pieces = parsed.GetValue(Beams) is { } beams
            ? Search(model, checkpoint, device, end, generator, prompt,
                Searching with { Beams = beams, LengthPenalty = parsed.GetValue(LengthPenalty), Tokens = options.Tokens })
            : generator.Stream(prompt, options);
        if (generator.Beginning.Count > 0)
            Console.Error.WriteLine($"the prompt begins with {Names(checkpoint.Tokenizer, generator.Beginning)}; --bos none leaves it out");
        if (model.Options is not EncoderDecoderOptions) Console.Write(prompt);
        foreach (var piece in pieces) Console.Write(piece);
        Console.WriteLine();
        return ExitCode.Done;
    }

    private static int Answer(IEnumerable<string> pieces)
    {
        foreach (var piece in pieces) Console.Write(piece);
        Console.WriteLine();
        return ExitCode.Done;
    }

    private static ChatTemplate Template(Checkpoint checkpoint) => ChatTemplateFile.Load(checkpoint.Directory) ?? throw new UserException(
        $"{checkpoint.Directory} has no chat template, so it was not made for chats; leave out --chat to continue a text, or train on " +
        "conversations (data.train of format \"chat\")");

    private static ChatMessage[] Messages(ParseResult parsed)
    {
        ChatMessage[] first = parsed.GetValue(SystemTurn) is { } system ? [new("system", system)] : [];
        return [.. first, new("user", parsed.GetRequiredValue(Prompt))];
    }

    private static IEnumerable<string> Search(LanguageModel model, Checkpoint checkpoint, Device device, int? end, TextGenerator generator,
        string prompt, BeamOptions options)
    {
        Require(options);
        var tokenizer = checkpoint.Tokenizer;
        if (model.Options is EncoderDecoderOptions)
            return new Translator(model, tokenizer, device, checkpoint.SequenceTokens).Translate([prompt], options);
        var ids = generator.Encode(prompt);
        var best = new BeamSearch(model, device, options, tokenizer.VocabularySize).Search(ids, source: null, end)[0][0];
        var decoder = tokenizer.CreateDecoder(ids);
        return [.. best.Tokens.Select(decoder.Push), decoder.Flush()];
    }

    /// <summary>Null where the tokenizer decides.</summary>
    private static int[]? BeginningOf(ParseResult parsed, LanguageModel model, Tokenizer tokenizer) => parsed.GetValue(Beginning) switch
    {
        null => null,
        _ when model.Options is EncoderDecoderOptions => throw new ConfigurationException(
            [new("--bos", "is for decoders; an encoder-decoder begins to write with the token that it was trained with: leave it out")],
                "command line"),
        None => [],
        var token => [TokenArguments.Id(tokenizer, token, "--bos")],
    };

    private static string Names(Tokenizer tokenizer, IEnumerable<int> ids) =>
        string.Join(' ', ids.Select(id => Encoding.UTF8.GetString(tokenizer.TokenBytes(id)).Trim()));

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

    private static void RequireOneWay(ParseResult parsed)
    {
        Option[] drawing = [Temperature, TopK, TopP, Greedy, Seed];
        var given = drawing.Where(parsed.Has).Select(option => option.Name).ToArray();
        if (parsed.GetValue(Beams) is not null && given.Length > 0)
            throw new ConfigurationException([new("", $"--beams searches the most likely text, {string.Join(" and ", given)} would " +
                "draw one; give one of the two (--beams 1 is greedy)")]);
        if (parsed.GetValue(Beams) is null && !parsed.GetValue(Chat) && parsed.Has(LengthPenalty))
            throw new ConfigurationException([new("--length-penalty", "is for --beams; add it, or leave --length-penalty out")],
                "command line");
        Option[] others = [Beams, LengthPenalty, Beginning];
        if (parsed.GetValue(Chat) && others.FirstOrDefault(parsed.Has) is { } other)
            throw new ConfigurationException([new(other.Name, "does not go with --chat, whose template begins the prompt and whose " +
                "answers are drawn; leave one of them out")], "command line");
        if (!parsed.GetValue(Chat) && parsed.GetValue(SystemTurn) is not null)
            throw new ConfigurationException([new("--system", "is for --chat; add it, or leave --system out")], "command line");
    }

    private static void Require(IValidated options)
    {
        Problem[] problems = [.. options.Validate().Select(problem => problem with { Path = "" })];
        if (problems.Length > 0) throw new ConfigurationException(problems);
    }
}
