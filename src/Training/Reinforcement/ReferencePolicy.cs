using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Reinforcement;

/// <summary>The model that the trained one is to stay close to, frozen: that of <c>initialize.from</c>. <c>reference.json</c> of a run's
/// checkpoints says which.</summary>
internal sealed class ReferencePolicy : IDisposable
{
    private const string FileName = "reference.json", Setting = "initialize.from";

    private readonly FrozenModel identity;

    private ReferencePolicy(FrozenModel identity, LanguageModel model) => (this.identity, Model) = (identity, model);

    public LanguageModel Model { get; }

    /// <summary>Such as <c>runs/base/checkpoints/step-00000100 (SHA-256 0123456789ab…)</c>.</summary>
    public string Description => $"{identity.Model} (SHA-256 {identity.Sha256[..12]}…)";

    /// <summary>Loads the weights with which a recipe begins.</summary>
    /// <exception cref="UserException">They are missing, or do not fit the recipe.</exception>
    public static ReferencePolicy Open(Recipe recipe, Tokenizer tokenizer, Device device)
    {
        Checkpoint checkpoint = FrozenModel.Find(Setting, recipe.Initialize!.From, recipe, tokenizer);
        return new(FrozenModel.Of(checkpoint), FrozenModel.Load(checkpoint, recipe, device));
    }

    /// <summary>The file to write into checkpoints.</summary>
    public PendingFile ToFile() => identity.ToFile(FileName);

    /// <summary>Throws where the run of a checkpoint had another.</summary>
    public void RequireSameAs(string checkpoint) =>
        identity.RequireSameAs(Path.Combine(checkpoint, FileName), Setting, "been kept close to");

    public void Dispose() => Model.Dispose();
}
