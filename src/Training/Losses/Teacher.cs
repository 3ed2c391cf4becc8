using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>The model that a run learns from, frozen: <c>teacher.json</c> of its checkpoints says which.</summary>
internal sealed class Teacher : IDisposable
{
    private const string FileName = "teacher.json", Setting = "distillation.teacher";

    private readonly DistillationOptions options;
    private readonly FrozenModel identity;
    private readonly LanguageModel model;

    private Teacher(DistillationOptions options, FrozenModel identity, LanguageModel model, double labelSmoothing)
    {
        (this.options, this.identity, this.model) = (options, identity, model);
        Loss = new(model, options, labelSmoothing);
        foreach (var weight in model.parameters()) weight.requires_grad = false;
    }

    /// <summary>The loss of the model that learns.</summary>
    public DistillationLoss Loss { get; }

    /// <summary>A line for the log.</summary>
    public string Description => $"distillation: {model.parameters().Sum(p => p.numel()):N0} parameters of {identity.Model} teach " +
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
        FrozenModel identity = FrozenModel.Of(checkpoint);
        if (from is not null) identity.RequireSameAs(Path.Combine(from.Directory, FileName), Setting, "learned from");
        return new(options, identity, checkpoint.LoadModel(device, FrozenModel.PrecisionOf(recipe)), recipe.Training.LabelSmoothing);
    }

    /// <summary>Opens the teacher's checkpoint, without its weights, and checks that it fits.</summary>
    public static Checkpoint Find(DistillationOptions options, Recipe recipe, Tokenizer tokenizer)
    {
        Checkpoint found = FrozenModel.Find(Setting, options.Teacher, recipe, tokenizer);
        return options.HiddenWeight == 0 || found.Model.Dim == recipe.Model.Dim ? found : throw new UserException(
            $"distillation.hiddenWeight: hidden states of {found.Directory} have {found.Model.Dim} numbers, and model.dim is " +
            $"{recipe.Model.Dim}, so their directions cannot be compared; set hiddenWeight to 0, or use a teacher of the same width");
    }

    /// <summary>The file to write into checkpoints.</summary>
    public PendingFile ToFile() => identity.ToFile(FileName);

    public void Dispose() => model.Dispose();
}
