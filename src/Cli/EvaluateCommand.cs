using System.CommandLine;
using System.Text.Json.Nodes;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Evaluation;
using Trainer.Evaluation.Preferences;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Training;

namespace Trainer.Cli;

internal static class EvaluateCommand
{
    private static readonly BeamOptions Searching = new();
    private static readonly Argument<string?> Source = new("checkpoint")
    {
        Description = "A checkpoint or run directory (its best, else its newest).",
        Arity = ArgumentArity.ZeroOrOne, // --task list needs none
    };
    private static readonly Option<string?> Base = BaseOption.Create();
    private static readonly Option<string?> Data = new("--data")
    {
        Description = "A file, a folder or a glob; when absent, the validation data of the checkpoint's recipe. With --task, the " +
            "tasks' records: JSON lines or Parquet, or a folder with them as Hugging Face has them. A model of pictures tells the " +
            "classes of a PNG file or of a folder of them, one of time series measures and continues a table.",
        HelpName = "path",
    };
    private static readonly Option<int?> Window = new("--window")
    {
        Description = "Tokens that the model is given at once; model.contextLength if not given.",
        HelpName = "N",
    };
    private static readonly Option<int?> Stride = new("--stride")
    {
        Description = "Tokens between the beginnings of windows; the window if not given: windows do not overlap (ALiBi's nonoverlapping " +
            "inference), which is fastest, but predicts the first tokens of each from little. Smaller: a sliding window, in which each " +
            "later token is predicted from at least window - stride + 1 tokens, at window / stride times the work. Every token is scored " +
            "once either way; figures compare only at equal window and stride.",
        HelpName = "M",
    };
    private static readonly Option<bool> Documents = new("--documents")
    {
        Description = "Score each document by itself; otherwise windows cross from one to the next.",
    };
    private static readonly Option<string?> Beginning = new("--bos")
    {
        Description = "A token, by name or id, put before the text (each document with --documents), so that the first token is " +
            "scored, too. Without it the first is not scored.",
        HelpName = "token",
    };
    private static readonly Option<bool> EveryWindow = new("--bos-every-window")
    {
        Description = "Put the token of --bos in the place of the first one of every later window as well (as llama.cpp does).",
    };
    private static readonly Option<long?> Tokens = new("--tokens")
    {
        Description = "How many tokens of the text to measure, from its beginning on; all if not given.",
        HelpName = "N",
    };
    private static readonly Option<string?> Passkey = new("--passkey")
    {
        Description = "Measure retrieval instead: hide passkeys in prompts of so many tokens, at five depths, and count those that " +
            "the model repeats.",
        HelpName = "lengths",
    };
    private static readonly Option<int> Translate = new("--translate")
    {
        Description = "For an encoder-decoder: how many pairs, spread over the data, to translate for BLEU; 0 for none.",
        HelpName = "N",
        DefaultValueFactory = _ => 200,
    };
    private static readonly Option<int> Beams = new("--beams")
    {
        Description = "For an encoder-decoder: how many beginnings a translation is searched with.",
        DefaultValueFactory = _ => Searching.Beams,
    };
    private static readonly Option<string?> Json = new("--json") { Description = "Write the figures to this file.", HelpName = "file" };
    private static readonly Option<DeviceChoice> Device = DeviceArgument.Create();
    private static readonly Option<InferencePrecision> Number = PrecisionArgument.Create("move figures in their third or fourth digit");

    internal static Command Create()
    {
        var command = new Command(
            "evaluate", "Measures perplexity and bits per byte, each token scored exactly once; or classes told, or forecasts.")
        {
            Source, Base, Data, Window, Stride, Documents, Beginning, EveryWindow, Tokens, Passkey, Translate, Beams, Json, Device, Number,
        };
        PatchSection.AddTo(command);
        TaskSection.AddTo(command, [Window, Stride, Documents, Beginning, EveryWindow, Tokens, Passkey, Translate, Beams]);
        command.Validators.Add(result =>
        {
            if (result.GetValue(Source) is null && !TaskSection.Lists(result))
                result.AddError("Required argument missing for command: 'evaluate'.");
            if (result.GetValue(EveryWindow) && result.GetValue(Beginning) is null)
                result.AddError("--bos-every-window needs --bos: which token begins a text?");
            if (result.GetValue(Passkey) is not null
                && ((Option[])[Data, Window, Stride, Documents, Beginning, Tokens]).Any(result.Has))
                result.AddError("--passkey makes its own text: leave out --data, --window, --stride, --documents, --bos and --tokens.");
        });
        command.SetAction(Evaluate);
        return command;
    }

    // Pictures and series have a refusal of their own, and of options for translations, as have tasks.
    private static void RefuseOthers(ParseResult parsed, Checkpoint checkpoint)
    {
        if (checkpoint.Model.PatchInput() is not null) return;
        if (parsed.Has(PatchSection.Season))
            throw new ConfigurationException(
                [new("--season", "is for models of time series, and this one reads texts; leave it out")], "command line");
        if (checkpoint.Model is EncoderDecoderOptions) return;
        if (TaskSection.IsGiven(parsed.CommandResult)) return;
        Option[] translating = [Translate, Beams];
        Problem[] problems = [.. translating.Where(parsed.CommandResult.Has).Select(option => new Problem(
            option.Name, "is for encoder-decoders, whose translations are measured; this model translates nothing: leave it out"))];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
    }

    private static int Evaluate(ParseResult parsed)
    {
        if (TaskSection.Lists(parsed.CommandResult))
        {
            TaskSection.PrintKnown();
            return ExitCode.Done;
        }
        var checkpoint = Checkpoint.Open(parsed.GetRequiredValue(Source)!, parsed.GetValue(Base));
        RefuseOthers(parsed, checkpoint);
        var device = DeviceSelection.Choose(parsed.GetValue(Device));
        var json = checkpoint.Model.PatchInput() is not null ? Patches(parsed, checkpoint, device)
            : TaskSection.IsGiven(parsed.CommandResult)
            ? TaskSection.Run(parsed, parsed.GetValue(Data), checkpoint, () => Load(parsed, checkpoint, device))
            : checkpoint.Configuration.Data.HasPreferences ? Preferences(parsed, checkpoint, device)
            : ScoresRows(checkpoint) ? Rows(parsed, checkpoint, device)
            : parsed.GetValue(Passkey) is { } lengths ? Passkeys(parsed, TokenArguments.Lengths(lengths, "--passkey"), checkpoint, device)
            : Windows(parsed, checkpoint, device);
        if (parsed.GetValue(Json) is not { } file) return ExitCode.Done;
        json["checkpoint"] = checkpoint.Directory;
        json["device"] = device.ToString();
        json["precision"] = parsed.GetValue(Number).ToString().ToLowerInvariant();
        JsonFile.Write(file, json);
        return ExitCode.Done;
    }

    private static JsonObject Patches(ParseResult parsed, Checkpoint checkpoint, torch.Device device)
    {
        using var model = checkpoint.LoadSequenceModel(device, parsed.GetValue(Number));
        return PatchSection.Run(parsed, checkpoint, model, device, parsed.GetValue(Data), [
            Window, Stride, Documents, Beginning, EveryWindow, Tokens, Passkey, Translate, Beams, .. TaskSection.Options]);
    }

    private static bool ScoresRows(Checkpoint checkpoint) =>
        checkpoint.Model is not DecoderOptions || checkpoint.Configuration.Data is { IsPaired: true } or { HasConversations: true };

    private static JsonObject Windows(ParseResult parsed, Checkpoint checkpoint, torch.Device device)
    {
        var options = Options(parsed, checkpoint);
        using var data = OpenData(parsed, checkpoint);
        using var model = Load(parsed, checkpoint, device);
        var report = new PerplexityEvaluator(model, checkpoint.Tokenizer)
            .Evaluate(TokenText.Of(data.Tokens, parsed.GetValue(Tokens)), options);
        Console.WriteLine($"{checkpoint.Directory} on {data.Name}");
        EvaluationSection.Print(report);
        return JsonFile.Object(report, ("data", data.Name));
    }

    /// <summary>Encoders and encoder-decoders: all rows that their objective makes of the data.</summary>
    private static JsonObject Rows(ParseResult parsed, Checkpoint checkpoint, torch.Device device)
    {
        RequireNoWindows(parsed);
        using var data = OpenData(parsed, checkpoint);
        var (settings, context) = (checkpoint.Configuration.Data, checkpoint.Model.ContextLength);
        var rows = ValidationSet.Create(data.Tokens, checkpoint.Tokenizer, settings, context, checkpoint.RowsAtOnce, int.MaxValue,
            checkpoint.Model.PrefixLength());
        using var model = Load(parsed, checkpoint, device);
        var report = new TargetEvaluator(model, checkpoint.Tokenizer).Evaluate(rows);
        var objective = settings.Objective == DataObjective.Masked ? "masked" : "target";
        Console.WriteLine($"{checkpoint.Directory} on {data.Name}");
        EvaluationSection.Print(report, objective, context);
        var json = JsonFile.Object(report, ("data", data.Name), ("scored", objective));
        json["window"] = context;
        json["stride"] = context;
        if (checkpoint.Model is EncoderDecoderOptions && parsed.GetValue(Translate) is > 0 and var pairs)
            json["translation"] = Translations(parsed, model, checkpoint, device, rows, pairs);
        return json;
    }

    /// <summary>All pairs of answers: which of both is likelier.</summary>
    private static JsonObject Preferences(ParseResult parsed, Checkpoint checkpoint, torch.Device device)
    {
        RequireNoWindows(parsed);
        using var data = OpenData(parsed, checkpoint);
        var batches = PreferenceBatches.All(
            data.Tokens, checkpoint.Configuration.Data, checkpoint.Model.ContextLength, checkpoint.RowsAtOnce);
        using var model = Load(parsed, checkpoint, device);
        var report = new PreferenceEvaluator(model).Evaluate(batches);
        Console.WriteLine($"{checkpoint.Directory} on {data.Name}");
        EvaluationSection.Print(report);
        return JsonFile.Object(report, ("data", data.Name));
    }

    private static JsonObject Translations(ParseResult parsed, LanguageModel model, Checkpoint checkpoint, torch.Device device,
        ValidationSet rows, int pairs)
    {
        var options = Searching with { Beams = parsed.GetValue(Beams), Tokens = model.ContextLength };
        Problem[] problems = [.. options.Validate().Select(problem => problem with { Path = $"--{problem.Path}" })];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
        var report = new TranslationEvaluator(model, checkpoint.Tokenizer, device, options, checkpoint.SequenceTokens)
            .Evaluate(rows, pairs);
        EvaluationSection.Print(report);
        return JsonFile.Object(report, ("line", report.Bleu.ToString()));
    }

    private static JsonObject Passkeys(ParseResult parsed, int[] lengths, Checkpoint checkpoint, torch.Device device)
    {
        using var model = Load(parsed, checkpoint, device);
        var report = new PasskeyEvaluator(model, checkpoint.Tokenizer).Evaluate(new PasskeyOptions { Lengths = lengths });
        Console.WriteLine(checkpoint.Directory);
        EvaluationSection.Print(report);
        return JsonFile.Object(report);
    }

    private static LanguageModel Load(ParseResult parsed, Checkpoint checkpoint, torch.Device device) =>
        checkpoint.LoadModel(device, parsed.GetValue(Number));

    private static CheckpointData OpenData(ParseResult parsed, Checkpoint checkpoint) => parsed.GetValue(Data) is { } path
        ? CheckpointData.Text(checkpoint, path, TrainingRequest.DefaultDatasetsDirectory, new StandardError())
        : CheckpointData.Validation(checkpoint, TrainingRequest.DefaultDatasetsDirectory, new StandardError());

    private static PerplexityOptions Options(ParseResult parsed, Checkpoint checkpoint)
    {
        var window = parsed.GetValue(Window) ?? checkpoint.Model.ContextLength;
        var prefix = checkpoint.Model.PrefixLength();
        var options = new PerplexityOptions
        {
            Window = window,
            Stride = parsed.GetValue(Stride) ?? Math.Max(1, window - prefix + 1),
            Prefix = prefix,
            Documents = parsed.GetValue(Documents),
            Beginning = parsed.GetValue(Beginning) is { } token
                ? new(TokenArguments.Id(checkpoint.Tokenizer, token, "--bos"), parsed.GetValue(EveryWindow))
                : null,
        };
        Problem[] problems = [.. options.Validate().Select(problem => problem with { Path = $"--{problem.Path}" })];
        if (parsed.GetValue(Tokens) is < 1 and var tokens)
            problems = [.. problems, new("--tokens", $"tokens ({tokens}) must be 1 or more")];
        return problems.Length == 0 ? options : throw new ConfigurationException(problems, "command line");
    }

    private static void RequireNoWindows(ParseResult parsed)
    {
        Option[] others = [Window, Stride, Documents, Beginning, EveryWindow, Tokens, Passkey];
        Problem[] problems = [.. others.Where(parsed.Has).Select(option => new Problem(
            option.Name, "is for decoders; this model is measured on rows as it was trained on them, each token once: leave it out"))];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
    }
}
