using Trainer.Configuration;
using Trainer.Text;
using Trainer.Training.Checkpoints;

namespace Trainer.Training;

/// <summary>Writes what is trained into the run's checkpoints.</summary>
internal sealed class CheckpointWriter(CheckpointStore store, Recipe recipe, Tokenizer tokenizer)
{
    /// <summary>Saves a checkpoint, and removes those that need not be kept.</summary>
    /// <param name="trainee">What to save.</param>
    /// <param name="isBest">Whether it is the best so far.</param>
    /// <returns>A line for the log.</returns>
    public string Save(Trainee trainee, bool isBest)
    {
        string directory = store.Save(trainee.Step, Parts(trainee));
        if (isBest) store.MarkBest(trainee.Step);
        store.Rotate(recipe.Checkpoint.Keep);
        return $"saved {directory}{(isBest ? ", the best so far" : "")}";
    }

    /// <summary>Makes <c>best</c> agree with what a resumed run knows: a run killed between two renames may have left it behind.</summary>
    public void KeepBestOf(Trainee trainee)
    {
        long? best = trainee.Best is { Step: var step } && Directory.Exists(store.DirectoryOf(step)) ? step : null;
        if (store.Best != best) store.MarkBest(best);
    }

    private IReadOnlyList<CheckpointPart> Parts(Trainee trainee) =>
    [
        new(CheckpointFiles.Model, path => ModelWeights.Save(trainee.Model, path)),
        new(CheckpointFiles.Optimizer, trainee.Optimizer.Save),
        new(CheckpointFiles.State, trainee.Capture().Save),
        new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Serialize(recipe) + "\n")),
        new(CheckpointFiles.Tokenizer, tokenizer.Save),
    ];
}
