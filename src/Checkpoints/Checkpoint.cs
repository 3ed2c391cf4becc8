using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using TorchSharp;
using Trainer.Checkpoints.Adapters;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>A verified checkpoint on disk: its configuration, its tokenizer, and on request a model with its weights.</summary>
public sealed class Checkpoint
{
    private Checkpoint(
        string directory, CheckpointConfiguration configuration, ModelCodec codec, CheckpointManifest manifest, string? basePath) =>
        (Directory, Configuration, Codec, Manifest, BasePath) = (directory, configuration, codec, manifest, basePath);

    /// <summary>Its directory.</summary>
    public string Directory { get; }

    /// <summary>The model, tokenizer and data sections of its resolved recipe.</summary>
    public CheckpointConfiguration Configuration { get; }

    /// <summary>The model's options.</summary>
    public ModelOptions Model => Configuration.Model;

    /// <summary>How files become what it reads, and what its outputs stand for.</summary>
    public ModelCodec Codec { get; }

    /// <summary>The tokenizer it was trained with.</summary>
    /// <exception cref="UsageException">It reads pictures or time series.</exception>
    public Tokenizer Tokenizer => Codec.Tokenizer;

    /// <summary>What its weights are an adapter for; null where they are a model's.</summary>
    public AdapterBase? Base => Configuration.Adapter is null ? null
        : AdapterBase.Load(Directory) is var recorded && BasePath is not null ? recorded with { Base = BasePath } : recorded;

    /// <summary>The hash of its <c>model.safetensors</c>, in lower case.</summary>
    public string WeightsSha256 => Manifest.Files[CheckpointFiles.Model].Sha256;

    internal CheckpointManifest Manifest { get; }

    // Where its adapter's base is now; null for where it was.
    internal string? BasePath { get; }

    /// <summary>Opens and verifies a checkpoint's directory, a run's best or else newest, or its file <c>best</c> or <c>last</c>.</summary>
    /// <exception cref="UserException">There is none, or it is damaged; the message names the file and the damage.</exception>
    public static Checkpoint Open(string path) => Open(path, basePath: null);

    /// <summary>As above, with an adapter on a base that was moved.</summary>
    /// <param name="path">The directory or file.</param>
    /// <param name="basePath">Where the base of its adapter is now; null for the place that it was trained on.</param>
    /// <exception cref="UserException">There is none, or it is damaged; the message names the file and the damage.</exception>
    /// <exception cref="UsageException">A base is given for what holds no adapter.</exception>
    public static Checkpoint Open(string path, string? basePath)
    {
        string directory = CheckpointLocator.Find(path);
        CheckpointManifest manifest = CheckpointManifest.Verify(
            directory, CheckpointFiles.Model, CheckpointFiles.Configuration, CheckpointFiles.Tokenizer);
        CheckpointConfiguration configuration = CheckpointConfiguration.Read(Path.Combine(directory, CheckpointFiles.Configuration));
        if (basePath is not null && configuration.Adapter is null)
            throw new UsageException(
                $"{directory}: it holds a whole model and no adapter, so there is nothing to put on {basePath}; leave --base out");
        return new Checkpoint(directory, configuration, ModelCodec.Load(directory, configuration.Model), manifest, basePath);
    }

    /// <summary>Opens the one that a setting of a recipe names, as <see cref="Open(string)"/> does; messages begin with the setting.</summary>
    /// <exception cref="UserException">There is none, or it is damaged.</exception>
    public static Checkpoint OpenFor(string setting, string path)
    {
        try
        {
            return Open(path);
        }
        catch (UserException error)
        {
            throw new UserException($"{setting}: {error.Message}", error);
        }
    }

    /// <summary>Writes a model that was built or trained in code, complete, or not at all: whole, or where it has adapters
    /// (<see cref="SequenceModel.Attach"/>) these alone.</summary>
    /// <param name="directory">A new or empty directory.</param>
    /// <param name="configuration">What the model is; its adapter is that of <paramref name="model"/>.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="model">The model.</param>
    /// <param name="original">The checkpoint whose weights adapters go on; null for a whole model.</param>
    /// <exception cref="UserException">The directory is not empty, or cannot be written.</exception>
    public static Checkpoint Write(
        string directory, CheckpointConfiguration configuration, Tokenizer tokenizer, LanguageModel model, Checkpoint? original = null)
    {
        if ((model.Adapter is null) != (original is null))
            throw new ArgumentException("A model with adapters is written beside the checkpoint that they go on, and no other is.",
                nameof(original));
        CheckpointDirectory.Write(directory,
        [
            new(CheckpointFiles.Model, path => ModelWeights.Save(model, path)),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(
                path, ConfigurationJson.Format(
                    (JsonObject)ConfigurationJson.ToNode(configuration with { Adapter = model.Adapter })) + "\n")),
            new(CheckpointFiles.Tokenizer, tokenizer.Save),
            .. original is null ? (PendingFile[])[] : [AdapterBase.Of(original).ToFile()],
        ]);
        return Open(directory);
    }

    /// <summary>Opens all weights of its model, one tensor at a time; those of an adapter are merged into its base's.</summary>
    /// <exception cref="UserException">A file cannot be read, or the adapter's base is gone or another.</exception>
    public IOpenWeights OpenWeights() => Configuration.Adapter is { } adapter
        ? MergedWeights.Open(this, adapter)
        : WeightFiles.OpenFile(Path.Combine(Directory, CheckpointFiles.Model));

    /// <summary>Loads a model in evaluation mode, with its matrices in <paramref name="precision"/>.</summary>
    /// <exception cref="UserException">The weights do not fit, or the model or device does not support the precision.</exception>
    /// <exception cref="UsageException">It reads pictures or time series.</exception>
    public LanguageModel LoadModel(Device device, InferencePrecision precision = InferencePrecision.Float32) =>
        Model.PatchInput() is null
            ? (LanguageModel)LoadSequenceModel(device, precision)
            : throw Codec.NoText($"{Directory} has no language model");

    /// <summary>As <see cref="LoadModel"/>, of tokens or of patches.</summary>
    /// <exception cref="UserException">The weights do not fit, or the model or device does not support the precision.</exception>
    public SequenceModel LoadSequenceModel(Device device, InferencePrecision precision = InferencePrecision.Float32)
    {
        if (precision == InferencePrecision.Int8 && device.type != DeviceType.CPU)
            throw new UserException($"int8 is for the CPU, and the device is {device}; use --precision bfloat16 there, or --device cpu");
        SequenceModel model = Model.BuildSequenceModelForInference(Codec.Outputs, precision.ToComputeType()).to(device);
        try
        {
            using IOpenWeights weights = OpenWeights();
            ModelWeights.Load(model, weights);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>The tokens that end a text by an imported checkpoint's <c>generation_config.json</c>; none for others.</summary>
    public IReadOnlyList<int> EndTokens
    {
        get
        {
            if (!CompanionFiles.In(Directory).TryGetValue(CompanionFiles.Generation, out JsonObject? generation)) return [];
            IEnumerable<JsonNode?> ids = generation["eos_token_id"] is JsonArray several
                ? several
                : Enumerable.Repeat(generation["eos_token_id"], 1); // a list of its own would take the node from its parent
            return [.. from id in ids.OfType<JsonValue>() where id.TryGetValue(out int _) select id.GetValue<int>()];
        }
    }

    /// <summary>The special tokens around what an encoder-decoder reads and writes; null for other models, and where the tokenizer has no
    /// token that ends a text.</summary>
    /// <exception cref="UserException">A token that its recipe names is none of the tokenizer's.</exception>
    public SequenceTokens? SequenceTokens => Model is EncoderDecoderOptions && EndOfText.Of(Tokenizer, named: null) is not null
        ? SequenceTokens.Of(Tokenizer, Configuration.Data)
        : null;

    /// <summary>Rows of a training micro-batch: an evaluation with as many fits in the same memory.</summary>
    public int RowsAtOnce => Configuration.RowsAtOnce;

    /// <summary>The state of its training; a <see cref="UserException"/> if it was not written by <c>train</c>.</summary>
    public CheckpointState LoadState() => CheckpointState.Load(Directory);
}

/// <summary>What is needed to use a model, of a checkpoint's <c>config.json</c>; only training reads the rest of the recipe.</summary>
public sealed record CheckpointConfiguration
{
    /// <summary>The name of the recipe.</summary>
    public required string Name { get; init; }

    /// <summary>The model.</summary>
    public required ModelOptions Model { get; init; }

    /// <summary>How text becomes tokens; null for a model of patches.</summary>
    public TokenizerOptions? Tokenizer { get; init; }

    /// <summary>The training and validation data.</summary>
    public required DataOptions Data { get; init; }

    /// <summary>The adapter that the weights are; null where they are the model's own.</summary>
    public AdapterOptions? Adapter { get; init; }

    [JsonIgnore]
    internal int RowsAtOnce { get; private init; } = 1;

    private static readonly string[] Sections = ["name", "model", "tokenizer", "data", "adapter"];

    /// <summary>Reads the file as saved, without overrides from the environment.</summary>
    internal static CheckpointConfiguration Read(string path)
    {
        JsonObject json = ReadJson(path);
        JsonObject typed = new(Sections.Where(json.ContainsKey).Select(name => KeyValuePair.Create(name, json[name]?.DeepClone())));
        return ConfigurationJson.Deserialize<CheckpointConfiguration>(typed.ToJsonString(), path) with
        {
            RowsAtOnce = Rows(json["training"] as JsonObject),
        };
    }

    internal static JsonObject ReadJson(string path)
    {
        try
        {
            return JsonNode.Parse(File.ReadAllText(path), documentOptions: new() { AllowDuplicateProperties = false }) as JsonObject
                ?? throw new UserException($"{path}: it is not a JSON object");
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it cannot be read as JSON ({error.Message.TrimEnd('.')})", error);
        }
    }

    private static int Rows(JsonObject? training) =>
        (training?["microBatchSize"] ?? training?["batchSize"]) is JsonValue rows && rows.TryGetValue(out int number) && number > 0
            ? number
            : 1;
}
