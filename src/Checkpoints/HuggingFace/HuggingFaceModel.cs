using System.Text.Json.Nodes;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;

namespace Trainer.Checkpoints.HuggingFace;

/// <summary>A Hugging Face checkpoint, opened: the model it describes and its weights under this program's names, one to be read at a time.</summary>
public sealed class HuggingFaceModel : IDisposable
{
    private readonly WeightFiles files;

    private HuggingFaceModel(WeightFiles files) => this.files = files;

    /// <summary>The family, such as <c>llama</c>.</summary>
    public required string Family { get; init; }

    /// <summary>The model.</summary>
    public required ModelOptions Options { get; init; }

    /// <summary>Its tokenizer; where the checkpoint has none, GPT-2's own for a GPT-2, else one whose tokens are the ids themselves.</summary>
    public required Tokenizer Tokenizer { get; init; }

    /// <summary>Its tensors under this program's names, float32. Reading needs this object.</summary>
    public required IReadOnlyList<PendingTensor> Weights { get; init; }

    /// <summary>The files beside the weights that an export gives back, by name.</summary>
    public required IReadOnlyDictionary<string, JsonObject> Companions { get; init; }

    /// <summary>Opens a checkpoint and checks it whole, but for the values of its tensors.</summary>
    /// <param name="directory">It holds <c>config.json</c>, safetensors (one, or shards and their index), and mostly <c>tokenizer.json</c>.</param>
    /// <param name="tell">Told what is not taken over.</param>
    /// <returns>The caller disposes it.</returns>
    /// <exception cref="UserException">A file is missing or damaged; the family is not known; a setting cannot be expressed; tensors are
    /// missing, too many, or of other shapes.</exception>
    public static HuggingFaceModel Open(string directory, Action<string> tell)
    {
        HuggingFaceConfig config = HuggingFaceConfig.Load(directory);
        Family family = FamilyRegistry.Of(config);
        ModelOptions options = family.Read(config);
        int vocabulary = config.Count("vocab_size");
        if (config.Section("quantization_config") is { } quantized)
            config.Refuse("quantization_config", $"is of \"{quantized.OptionalText("quant_method")}\": weights that are stored with scales are not read; save the model in bfloat16 and import that");
        if (config.Finish() is { Count: > 0 } unknown)
            tell($"{config.Location}: not known in {family.ModelType} models and left aside: {string.Join(", ", unknown)}");
        RequireSound(options, config.Location);
        Tokenizer tokenizer = TokenizerFiles.Load(directory, family.ModelType, vocabulary, tell);
        if (tokenizer.VocabularySize < vocabulary) options = options with { VocabularySize = vocabulary };
        WeightFiles files = WeightFiles.OpenDirectory(directory);
        try
        {
            return new(files)
            {
                Family = family.ModelType,
                Options = options,
                Tokenizer = tokenizer,
                Weights = family.Weights(options, vocabulary).Import(files),
                Companions = CompanionFiles.Of(directory, config),
            };
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Closes the weights.</summary>
    public void Dispose() => files.Dispose();

    // Read back, so that every rule of a recipe's model is asked: heads that do not divide, factors below 1.
    private static void RequireSound(ModelOptions options, string location)
    {
        try
        {
            ConfigurationJson.Deserialize<ModelOptions>(ConfigurationJson.Serialize(options), location);
        }
        catch (ConfigurationException error)
        {
            // Each message ends with a line of the text made here, which nobody has seen.
            IEnumerable<string> lines = error.Problems.Select(problem => $"  model.{problem.Path}: {problem.Message.Split($" (in {location}")[0]}");
            throw new UserException($"{location}: no such model can be built:\n{string.Join('\n', lines)}", error);
        }
    }
}
