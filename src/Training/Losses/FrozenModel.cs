using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>A trained model that a run learns from or is compared with, and that stays as it is: a file of the run's checkpoints says which.
/// </summary>
/// <param name="Model">Its checkpoint's directory, as the recipe names it.</param>
/// <param name="Sha256">The hash of its <c>model.safetensors</c>, in lower case.</param>
/// <param name="Identity">Of its weights and what is computed with them, as <see cref="IdentityOf"/>; null in files of former
/// versions.</param>
internal sealed record FrozenModel(string Model, string Sha256, string? Identity = null)
{
    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    public static FrozenModel Of(Checkpoint checkpoint) => new(checkpoint.Directory, checkpoint.WeightsSha256, IdentityOf(checkpoint));

    /// <summary>A hash of the weights and of the model's options: conversions may change the latter alone, such as how positions are
    /// scaled.</summary>
    public static string IdentityOf(Checkpoint checkpoint) => Convert.ToHexStringLower(SHA256.HashData(
        Encoding.UTF8.GetBytes(checkpoint.WeightsSha256 + ConfigurationJson.Serialize(checkpoint.Model))));

    /// <summary>Opens the checkpoint that <paramref name="setting"/> of a recipe names, without its weights, and checks that its
    /// probabilities are of the same tokens and texts.</summary>
    /// <exception cref="UserException">It is missing, or does not fit.</exception>
    public static Checkpoint Find(string setting, string place, Recipe recipe, Tokenizer tokenizer)
    {
        Checkpoint checkpoint = Checkpoint.OpenFor(setting, place);
        if (checkpoint.Tokenizer.ToJson().ToJsonString() != tokenizer.ToJson().ToJsonString())
            throw new UserException(
                $"{setting}: {checkpoint.Directory} was trained with another tokenizer ({checkpoint.Tokenizer.Type}, " +
                $"{checkpoint.Tokenizer.VocabularySize} tokens; here {tokenizer.Type}, {tokenizer.VocabularySize} tokens), so its " +
                "probabilities are of other tokens; use the same tokenizer and training text");
        if (Mismatch(checkpoint.Model, recipe.Model, recipe) is { } mismatch)
            throw new UserException($"{setting}: {checkpoint.Directory} {mismatch}");
        InitialWeights.RequireDecoderStart(setting, checkpoint, recipe.Data);
        return checkpoint;
    }

    /// <summary>The number format of its matrices: that of the recipe's products.</summary>
    public static InferencePrecision PrecisionOf(Recipe recipe) =>
        recipe.Training.Precision == Precision.BFloat16 ? InferencePrecision.BFloat16 : InferencePrecision.Float32;

    /// <summary>Loads the model, without gradients, dropping nothing.</summary>
    public static LanguageModel Load(Checkpoint checkpoint, Recipe recipe, Device device)
    {
        LanguageModel model = checkpoint.LoadModel(device, PrecisionOf(recipe));
        foreach (var weight in model.parameters()) weight.requires_grad = false;
        return model;
    }

    /// <summary>The file to write into checkpoints.</summary>
    public PendingFile ToFile(string name) => new(name, path => File.WriteAllText(path, JsonSerializer.Serialize(this, Format) + "\n"));

    /// <summary>Checks it against the file of a checkpoint that is resumed; a run without one may go on with one.
    /// <paramref name="what"/> is what the run has done with the other, such as <c>learned from</c>.</summary>
    /// <exception cref="UserException">The file names other weights, or cannot be read.</exception>
    public void RequireSameAs(string path, string setting, string what)
    {
        if (!File.Exists(path)) return;
        FrozenModel? before;
        try
        {
            before = JsonSerializer.Deserialize<FrozenModel>(File.ReadAllText(path), Format);
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            throw new UserException($"{path}: it cannot be read ({error.Message}); use another checkpoint of the run", error);
        }
        if (before?.Sha256 == Sha256 && before.Identity is { } identity && identity != Identity)
            throw new UserException(
                $"{setting}: the run has {what} {before.Model}, and the model in {Model} has the same weights, but other options (see " +
                "config.json); name the same model, or start another run with --run and a new directory");
        if (before?.Sha256 != Sha256)
            throw new UserException(
                $"{setting}: the run has {what} {before?.Model ?? "a model"}, whose weights have the SHA-256 {before?.Sha256}, and those " +
                $"in {Model} have {Sha256}; name the same model, or start another run with --run and a new directory (its weights can " +
                "come from initialize.from)");
    }

    private static string? Mismatch(ModelOptions teacher, ModelOptions student, Recipe recipe)
    {
        string own = ObjectiveValidation.Architecture(teacher), wanted = ObjectiveValidation.Architecture(student);
        if (own != wanted)
            return $"is of architecture '{own}', and model.architecture is '{wanted}', which reads other inputs; use a model of " +
                $"architecture '{wanted}'";
        if (teacher.Position is LearnedOptions && teacher.ContextLength < student.ContextLength)
            return $"has learned {teacher.ContextLength} positions, and model.contextLength is {student.ContextLength}; set " +
                $"contextLength to {teacher.ContextLength} or less, or use a model of rotary positions";
        if (teacher.PrefixLength() > student.PrefixLength())
            return $"reads a prefix of {teacher.PrefixLength()} tokens together, and so sees those that the model has to predict, which " +
                $"reads {student.PrefixLength()}; use a model of the same attention pattern";
        if (!teacher.KeepsDocumentsApart() && ObjectiveValidation.SharesRows(recipe.Data) is { } why)
            return $"has the attention kernel 'linear', which sums over whole rows, and {why}; use a model of another kernel";
        if (recipe.Data.Packing == DataPacking.Documents && teacher.PatternFromBeginning() is { } pattern)
            return $"has the attention pattern '{pattern}', which counts from a row's beginning, and data.packing 'documents' puts " +
                "several documents in a row; use 'crops' or 'pairs', or a model of another pattern";
        return null;
    }
}
