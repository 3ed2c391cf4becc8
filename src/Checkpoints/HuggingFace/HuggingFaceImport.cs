using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Models;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>Converts a Hugging Face checkpoint: settings, tokenizer, and weights one tensor at a time.</summary>
public sealed class HuggingFaceImport : IDisposable
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    private readonly WeightFiles files;

    private HuggingFaceImport(
        WeightFiles files, string family, ModelOptions options, Tokenizer tokenizer, IReadOnlyList<PendingTensor> weights,
        IReadOnlyDictionary<string, JsonObject> companions) =>
        (this.files, Family, Options, Tokenizer, Weights, Companions) = (files, family, options, tokenizer, weights, companions);

    internal string Family { get; }

    internal ModelOptions Options { get; }

    /// <summary>Without one in the checkpoint GPT-2's own for a GPT-2, else one whose tokens are the ids themselves.</summary>
    internal Tokenizer Tokenizer { get; }

    /// <summary>The tensors under their names here, float32, readable until this object is disposed.</summary>
    internal IReadOnlyList<PendingTensor> Weights { get; }

    /// <summary>The files beside the weights that an export writes back, by name.</summary>
    internal IReadOnlyDictionary<string, JsonObject> Companions { get; }

    /// <summary>Imports to a new or empty directory; <paramref name="warn"/> receives what is left out.</summary>
    /// <exception cref="UserException">The source cannot be read or expressed here, or writing fails.</exception>
    public static ImportReport Run(string source, string output, Action<string> warn)
    {
        if (!Directory.Exists(source))
            throw new UserException($"{source}: there is no such directory; give the directory of a Hugging Face checkpoint");
        using HuggingFaceImport import = Open(source, warn);
        import.WriteCheckpoint(source, output, warn);
        return new(import.Family, import.Weights.Sum(tensor => tensor.Shape.Aggregate(1L, (product, extent) => product * extent)));
    }

    /// <summary>Opens <c>config.json</c>, safetensors and usually <c>tokenizer.json</c>; checks all but the values of tensors.</summary>
    internal static HuggingFaceImport Open(string directory, Action<string> warn)
    {
        HuggingFaceConfig config = HuggingFaceConfig.Load(directory);
        Family family = FamilyRegistry.Of(config);
        ModelOptions options = family.Read(config);
        int vocabulary = config.Count("vocab_size");
        if (config.Section("quantization_config") is { } quantized)
            config.Refuse(
                "quantization_config",
                $"is of \"{quantized.OptionalText("quant_method")}\": weights that are stored with scales are not read; "
                + "save the model in bfloat16 and import that");
        if (config.Finish() is { Count: > 0 } unknown)
            warn($"{config.Location}: not known in {family.ModelType} models and left aside: {string.Join(", ", unknown)}");
        Validate(options, config.Location);
        Tokenizer tokenizer = TokenizerFiles.Load(directory, family.ModelType, vocabulary, warn);
        if (tokenizer.VocabularySize < vocabulary) options = options with { VocabularySize = vocabulary };
        WeightFiles files = WeightFiles.OpenDirectory(directory);
        try
        {
            options = family.Read(options, files);
            IReadOnlyList<PendingTensor> weights = family.Weights(options, vocabulary).Import(files);
            return new(files, family.ModelType, options, tokenizer, weights, CompanionFiles.Of(directory, config));
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Closes the weights.</summary>
    public void Dispose() => files.Dispose();

    // Reads the options back, so that they pass the same validation as a recipe's: heads that divide, factors of 1 or more.
    private static void Validate(ModelOptions options, string location)
    {
        try
        {
            ConfigurationJson.Deserialize<ModelOptions>(ConfigurationJson.Serialize(options), location);
        }
        catch (ConfigurationException error)
        {
            // Each message ends with a line number in the JSON made here, which the user never sees.
            IEnumerable<string> lines = error.Problems.Select(
                problem => $"  model.{problem.Path}: {problem.Message.Split($" (in {location}")[0]}");
            throw new UserException($"{location}: no such model can be built:\n{string.Join('\n', lines)}", error);
        }
    }

    private void WriteCheckpoint(string source, string output, Action<string> warn)
    {
        JsonObject recipe = RecipeOf(source, output, warn);
        CheckpointDirectory.Write(output,
        [
            new(CheckpointFiles.Model, path => Safetensors.Write(path, Weights)),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Format(recipe) + "\n")),
            new(CheckpointFiles.Tokenizer, Tokenizer.Save),
            .. Companions.Select(file => new PendingFile(file.Key, path => Save(path, file.Value))),
        ]);
    }

    /// <summary>A recipe that trains the model further, on text that every installation has; users replace the data first.</summary>
    private JsonObject RecipeOf(string source, string output, Action<string> warn) => new()
    {
        ["name"] = NameOf(source),
        ["model"] = ConfigurationJson.ToNode(Options),
        ["tokenizer"] = ConfigurationJson.ToNode<TokenizerOptions>(
            new FileTokenizerOptions { Path = Path.Combine(output, CheckpointFiles.Tokenizer) }),
        ["data"] = ConfigurationJson.ToNode(DataOf(Options, key => TokenOf(key, source, warn))),
        ["training"] = new JsonObject { ["steps"] = 1000, ["batchSize"] = 8 },
        ["optimizer"] = new JsonObject { ["type"] = "adamw", ["learningRate"] = 2e-5 },
        ["initialize"] = new JsonObject { ["from"] = output },
    };

    /// <summary>The token that <c>generation_config.json</c> names by its id; null for none.</summary>
    private string? TokenOf(string key, string source, Action<string> warn)
    {
        if (Companions[CompanionFiles.Generation][key] is not { } id) return null;
        string? token = CompanionFiles.TokenOf(Companions, key, Tokenizer);
        if (token is null)
            warn($"{source}: {key} is {id.ToJsonString()}, which is no token of its {TokenizerFiles.FileName}, so it is left aside");
        return token;
    }

    private static DataOptions DataOf(ModelOptions model, Func<string, string?> token) => model switch
    {
        EncoderDecoderOptions => new()
        {
            Train =
            [
                new SourceOptions { Format = SourceFormat.DotnetTranslations, Language = "de", Column = "source", TargetColumn = "target" },
            ],
            Objective = DataObjective.SequenceToSequence,
            DecoderStartToken = token(CompanionFiles.DecoderStart),
            ForcedBosToken = token(CompanionFiles.ForcedBos),
        },
        EncoderOptions => new() { Train = [new SourceOptions { Format = SourceFormat.DotnetDocs }], Objective = DataObjective.Masked },
        _ => new() { Train = [new SourceOptions { Format = SourceFormat.DotnetDocs }] },
    };

    private static string NameOf(string source)
    {
        string directory = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(source)));
        string name = string.Concat(directory.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '-'));
        return RunName.ValidationError(name) is null ? name : "imported";
    }

    private static void Save(string path, JsonObject json) =>
        File.WriteAllText(path, json.ToJsonString(Indented).ReplaceLineEndings("\n") + "\n");
}

/// <summary>The family and the number of parameters of an imported model.</summary>
public sealed record ImportReport(string Family, long Parameters);
