using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Numbers;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Patches;

namespace Trainer.Checkpoints;

/// <summary>How files become what a model reads, and what its outputs stand for: a tokenizer, or for a model of patches a preprocessor. It is
/// a file of every checkpoint.</summary>
public sealed record ModelCodec
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true,
        RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    private readonly Tokenizer? tokenizer;

    private ModelCodec(Tokenizer? tokenizer, Preprocessor? preprocessor) => (this.tokenizer, Preprocessor) = (tokenizer, preprocessor);

    /// <summary>The preprocessor of a model of patches; null for a tokenizer.</summary>
    public Preprocessor? Preprocessor { get; }

    /// <summary>The tokenizer.</summary>
    /// <exception cref="UsageException">The model reads pictures or time series.</exception>
    public Tokenizer Tokenizer => tokenizer ?? throw NoText("it has no tokenizer");

    /// <summary>Outputs of the model: tokens of the vocabulary, classes, or values of a forecast.</summary>
    public int Outputs => tokenizer?.VocabularySize ?? Preprocessor!.Outputs;

    /// <summary>Its JSON: equal for what reads alike.</summary>
    public string Json => tokenizer?.ToJson().ToJsonString() ?? JsonSerializer.Serialize(Preprocessor, Format);

    /// <summary>The file for a checkpoint.</summary>
    public PendingFile File => tokenizer is not null
        ? new(CheckpointFiles.Tokenizer, tokenizer.Save)
        : new(CheckpointFiles.Preprocessor, path => System.IO.File.WriteAllText(path, Json + "\n"));

    /// <summary>What data was prepared with.</summary>
    public static ModelCodec Of(TrainingData data) => data switch
    {
        PreparedData text => text.Tokenizer,
        NumberData numbers => numbers.Preprocessor,
        _ => throw new ArgumentOutOfRangeException(nameof(data), data, "unknown data"),
    };

    /// <summary>Reads the file of a checkpoint.</summary>
    /// <exception cref="UserException">It cannot be read.</exception>
    public static ModelCodec Load(string directory, ModelOptions model)
    {
        if (model.PatchInput() is null) return Tokenizer.Load(Path.Combine(directory, CheckpointFiles.Tokenizer));
        string path = Path.Combine(directory, CheckpointFiles.Preprocessor);
        try
        {
            return JsonSerializer.Deserialize<Preprocessor>(System.IO.File.ReadAllBytes(path), Format)
                ?? throw new UserException($"{path}: it is empty");
        }
        catch (JsonException error)
        {
            throw new UserException($"{path}: it cannot be read ({error.Message.TrimEnd('.')})", error);
        }
    }

    /// <summary>A tokenizer.</summary>
    public static implicit operator ModelCodec(Tokenizer tokenizer) => new(tokenizer, null);

    /// <summary>A preprocessor.</summary>
    public static implicit operator ModelCodec(Preprocessor preprocessor) => new(null, preprocessor);

    internal UsageException NoText(string why) => new(
        $"the model {(Preprocessor is SeriesPreprocessor ? "forecasts time series" : "tells classes of pictures")} and reads no text, so " +
        $"{why}; evaluate --data measures it, and writes what it predicts with --json");
}

/// <summary>The numbers of a model's inputs, as its data knows them.</summary>
public static class PatchShapes
{
    /// <summary>The shape of what a model of these patches reads.</summary>
    public static InputShape ToShape(this PatchOptions patches) => patches switch
    {
        ImagePatchOptions image => new ImageShape(image.Height, image.Width, image.Channels),
        SeriesPatchOptions series => new SeriesShape(series.Length, series.Horizon),
        _ => throw new ArgumentOutOfRangeException(nameof(patches), patches, "unknown patches"),
    };
}
