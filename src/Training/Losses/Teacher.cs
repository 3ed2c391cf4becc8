using System.Text.Json;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>The model that a run learns from, frozen: <c>teacher.json</c> of its checkpoints says which.</summary>
internal sealed class Teacher : IDisposable
{
    private const string FileName = "teacher.json";

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Web) { WriteIndented = true };

    private readonly DistillationOptions options;
    private readonly Identity identity;
    private readonly LanguageModel model;

    private Teacher(DistillationOptions options, Identity identity, LanguageModel model, double labelSmoothing)
    {
        (this.options, this.identity, this.model) = (options, identity, model);
        Loss = new(model, options, labelSmoothing);
        foreach (var weight in model.parameters()) weight.requires_grad = false;
    }

    /// <summary>The loss of the model that learns.</summary>
    public DistillationLoss Loss { get; }

    /// <summary>A line for the log.</summary>
    public string Description => $"distillation: {model.parameters().Sum(p => p.numel()):N0} parameters of {identity.Teacher} teach " +
        $"(SHA-256 {identity.Sha256[..12]}…), {options.Divergence.ToString().ToLowerInvariant()} divergence at temperature " +
        $"{options.Temperature} with weight {options.Weight}";

    /// <summary>Operations of one of its tokens, forward.</summary>
    public double FlopsPerToken(int length) => ModelCost.Of(model.Options, model.VocabularySize).ForwardFlopsPerToken(length);

    /// <summary>The teacher that a recipe names, on the device; null where it names none.</summary>
    /// <exception cref="UserException">It is missing, does not fit the recipe, or is not the one of the run that is resumed.</exception>
    public static Teacher? Open(Recipe recipe, Tokenizer tokenizer, Device device, ResumePoint? from = null)
    {
        if (recipe.Distillation is not { } options) return null;
        Checkpoint checkpoint = Find(options, recipe, tokenizer);
        Identity identity = new(checkpoint.Directory, checkpoint.WeightsSha256);
        if (from is not null) identity.RequireSameAs(from.Directory);
        return new(options, identity, checkpoint.LoadModel(device, PrecisionOf(recipe)), recipe.Training.LabelSmoothing);
    }

    /// <summary>Opens the teacher's checkpoint, without its weights, and checks that it fits.</summary>
    public static Checkpoint Find(DistillationOptions options, Recipe recipe, Tokenizer tokenizer)
    {
        Checkpoint checkpoint;
        try
        {
            checkpoint = Checkpoint.Open(options.Teacher);
        }
        catch (UserException error)
        {
            throw new UserException($"distillation.teacher: {error.Message}", error);
        }
        (string place, ModelOptions teacher, ModelOptions student) = (checkpoint.Directory, checkpoint.Model, recipe.Model);
        if (checkpoint.Tokenizer.ToJson().ToJsonString() != tokenizer.ToJson().ToJsonString())
            throw new UserException(
                $"distillation.teacher: {place} was trained with another tokenizer ({checkpoint.Tokenizer.Type}, " +
                $"{checkpoint.Tokenizer.VocabularySize} tokens; here {tokenizer.Type}, {tokenizer.VocabularySize} tokens), so its " +
                "probabilities are of other tokens; use the same tokenizer and training text");
        if (Mismatch(teacher, student, recipe) is { } mismatch)
            throw new UserException($"distillation.teacher: {place} {mismatch}");
        return checkpoint;
    }

    /// <summary>The number format of its matrices: that of the recipe's products.</summary>
    public static InferencePrecision PrecisionOf(Recipe recipe) =>
        recipe.Training.Precision == Precision.BFloat16 ? InferencePrecision.BFloat16 : InferencePrecision.Float32;

    /// <summary>The file to write into checkpoints.</summary>
    public PendingFile ToFile() => new(FileName, path => File.WriteAllText(path, JsonSerializer.Serialize(identity, Format) + "\n"));

    public void Dispose() => model.Dispose();

    private static string? Mismatch(ModelOptions teacher, ModelOptions student, Recipe recipe)
    {
        string own = ObjectiveValidation.Architecture(teacher), wanted = ObjectiveValidation.Architecture(student);
        if (own != wanted)
            return $"is of architecture '{own}', and model.architecture is '{wanted}', which reads other inputs; use a teacher of " +
                $"architecture '{wanted}'";
        if (teacher.Position is LearnedOptions && teacher.ContextLength < student.ContextLength)
            return $"has learned {teacher.ContextLength} positions, and model.contextLength is {student.ContextLength}; set " +
                $"contextLength to {teacher.ContextLength} or less, or use a teacher of rotary positions";
        if (teacher.PrefixLength() > student.PrefixLength())
            return $"reads a prefix of {teacher.PrefixLength()} tokens together, and so sees those that the model has to predict, which " +
                $"reads {student.PrefixLength()}; use a teacher of the same attention pattern";
        if (!teacher.KeepsDocumentsApart() && ObjectiveValidation.SharesRows(recipe.Data) is { } why)
            return $"has the attention kernel 'linear', which sums over whole rows, and {why}; use a teacher of another kernel";
        return null;
    }

    private sealed record Identity(string Teacher, string Sha256)
    {
        // A run without a teacher may go on with one.
        public void RequireSameAs(string checkpoint)
        {
            string path = Path.Combine(checkpoint, FileName);
            if (!File.Exists(path)) return;
            Identity? before;
            try
            {
                before = JsonSerializer.Deserialize<Identity>(File.ReadAllText(path), Format);
            }
            catch (Exception error) when (error is IOException or JsonException)
            {
                throw new UserException($"{path}: it cannot be read ({error.Message}); use another checkpoint of the run", error);
            }
            if (before?.Sha256 != Sha256)
                throw new UserException(
                    $"distillation.teacher: the run has learned from {before?.Teacher}, whose weights have the SHA-256 " +
                    $"{before?.Sha256}, and those in {Teacher} have {Sha256}; name the same teacher, or start another run with --run and " +
                    "a new directory (its weights can come from initialize.from)");
        }
    }
}
