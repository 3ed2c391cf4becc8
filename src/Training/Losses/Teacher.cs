using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Reporting.Monitoring;
using Trainer.Training.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>The model that a run learns from, frozen, or what it found of the training data: <c>teacher.json</c> of the run's checkpoints
/// says which.</summary>
internal sealed class Teacher : IDisposable
{
    private const string FileName = "teacher.json", Setting = "distillation.teacher";

    private readonly DistillationOptions options;
    private readonly FrozenModel identity;
    private readonly LanguageModel? model; // null where all that it says is kept
    private readonly string teaching;

    private Teacher(DistillationOptions options, FrozenModel identity, LanguageModel model, double labelSmoothing)
    {
        (this.options, this.identity, this.model) = (options, identity, model);
        Loss = new TeacherLoss(model, options, labelSmoothing);
        teaching = $"{model.parameters().Sum(p => p.numel()):N0} parameters of {identity.Model} teach (SHA-256 {identity.Sha256[..12]}…)";
    }

    private Teacher(DistillationOptions options, FrozenModel identity, TeacherCache cache, double labelSmoothing)
    {
        (this.options, this.identity) = (options, identity);
        Loss = new CachedTeacherLoss(cache, options, labelSmoothing);
        teaching = $"{identity.Model} (SHA-256 {identity.Sha256[..12]}…) teaches by the {cache.TopK} likeliest tokens of " +
            $"{cache.Targets:N0} targets, {HumanFormat.Bytes(cache.Bytes)} in {cache.Folder}";
    }

    /// <summary>The loss of the model that learns.</summary>
    public DistillationLoss Loss { get; }

    /// <summary>A line for the log.</summary>
    public string Description => $"distillation: {teaching}, " +
        $"{options.Divergence.ToString().ToLowerInvariant()} divergence at temperature {options.Temperature} with weight {options.Weight}";

    /// <summary>Operations of one of its tokens while training, forward; 0 where all was computed before.</summary>
    public double FlopsPerToken(int length) =>
        model is null ? 0 : ModelCost.Of(model.Options, model.VocabularySize).ForwardFlopsPerToken(length);

    /// <summary>The teacher that a recipe names, on the device, or what is kept of it; null where it names none.</summary>
    /// <exception cref="UserException">It is missing, does not fit the recipe, or is not the one of the run that is resumed.</exception>
    /// <exception cref="OperationCanceledException">What is to be kept was not computed before it was asked to stop.</exception>
    public static Teacher? Open(
        Recipe recipe, PreparedData data, Device device, Ranks ranks, ResumePoint? from = null, CancellationToken stop = default)
    {
        if (recipe.Distillation is not { } options) return null;
        Checkpoint checkpoint = Find(options, recipe, data.Tokenizer);
        FrozenModel identity = FrozenModel.Of(checkpoint);
        if (from is not null) identity.RequireSameAs(Path.Combine(from.Directory, FileName), Setting, "learned from");
        double smoothing = recipe.Training.LabelSmoothing;
        return options.Cache is null
            ? new(options, identity, FrozenModel.Load(checkpoint, recipe, device), smoothing)
            : new(options, identity, TeacherCache.Open(recipe, data, device, checkpoint, ranks, stop), smoothing);
    }

    /// <summary>Opens the teacher's checkpoint, without its weights, and checks that it fits.</summary>
    public static Checkpoint Find(DistillationOptions options, Recipe recipe, Tokenizer tokenizer)
    {
        if (options.Cache is { TopK: var kept } && kept > tokenizer.VocabularySize)
            throw new ConfigurationException([new("distillation.cache.topK", $"is {kept}, and the vocabulary has " +
                $"{tokenizer.VocabularySize} tokens; set it to {tokenizer.VocabularySize}, which keeps all, or less")]);
        Checkpoint found = FrozenModel.Find(Setting, options.Teacher, recipe, tokenizer);
        return options.HiddenWeight == 0 || found.Model.Dim == recipe.Model.Dim ? found : throw new UserException(
            $"distillation.hiddenWeight: hidden states of {found.Directory} have {found.Model.Dim} numbers, and model.dim is " +
            $"{recipe.Model.Dim}, so their directions cannot be compared; set hiddenWeight to 0, or use a teacher of the same width");
    }

    /// <summary>The file to write into checkpoints.</summary>
    public PendingFile ToFile() => identity.ToFile(FileName);

    public void Dispose()
    {
        Loss.Dispose();
        model?.Dispose();
    }
}
