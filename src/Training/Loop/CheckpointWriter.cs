using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Training;

/// <summary>Writes what is trained into the run's checkpoints: from a copy, while training goes on, or at once where the copy would be large or nothing
/// goes on.</summary>
/// <remarks>One checkpoint is written at a time: the next one waits for it. For one thread.</remarks>
/// <param name="store">Where they go.</param>
/// <param name="recipe">Saved with them; it says whether to write in the background, and how many to keep.</param>
/// <param name="tokenizer">Saved with them.</param>
/// <param name="tell">Told of every checkpoint when it is there, on the thread that calls this object.</param>
internal sealed class CheckpointWriter(CheckpointStore store, Recipe recipe, Tokenizer tokenizer, Action<string> tell) : IDisposable
{
    private Task<string>? writing;

    /// <summary>Saves a checkpoint of this moment, and removes those that need not be kept.</summary>
    /// <param name="trainee">What to save.</param>
    /// <param name="isBest">Whether it is the best so far.</param>
    /// <exception cref="UserException">This one, or the one before, could not be written.</exception>
    public void Save(Trainee trainee, bool isBest)
    {
        Finish();
        CheckpointState state = trainee.Capture();
        CheckpointTensors tensors = CheckpointTensors.Of(trainee.Model, trainee.Optimizer);
        if (state.Step >= recipe.Training.Steps || !recipe.Checkpoint.InBackground(tensors.Bytes))
        {
            tell(Write(tensors, state, isBest));
            return;
        }
        CheckpointTensors copy = tensors.Copy();
        writing = Task.Run(() =>
        {
            using (copy) return Write(copy, state, isBest);
        });
    }

    /// <summary>Tells of a checkpoint that has been written since it was last asked.</summary>
    /// <exception cref="UserException">It could not be written.</exception>
    public void Follow()
    {
        if (writing is { IsCompleted: true }) Finish();
    }

    /// <summary>Waits for the checkpoint that is being written, if one is.</summary>
    /// <exception cref="UserException">It could not be written.</exception>
    public void Finish()
    {
        if (writing is not { } task) return;
        writing = null;
        tell(task.GetAwaiter().GetResult());
    }

    /// <summary>Makes <c>best</c> agree with what a resumed run knows: a run killed between two renames may have left it behind.</summary>
    public void KeepBestOf(Trainee trainee)
    {
        long? best = trainee.Best is { Step: var step } && Directory.Exists(store.DirectoryOf(step)) ? step : null;
        if (store.Best != best) store.MarkBest(best);
    }

    /// <summary>Waits for the checkpoint that is being written. When a run fails, that failure is what its user hears of, not one here.</summary>
    public void Dispose() => writing?.ContinueWith(_ => { }, TaskScheduler.Default).Wait();

    private string Write(CheckpointTensors tensors, CheckpointState state, bool isBest)
    {
        string directory = store.Save(state.Step, Parts(tensors, state));
        if (isBest) store.MarkBest(state.Step);
        store.Rotate(recipe.Checkpoint.Keep);
        return $"saved {directory}{(isBest ? ", the best so far" : "")}";
    }

    private IReadOnlyList<CheckpointPart> Parts(CheckpointTensors tensors, CheckpointState state) =>
    [
        new(CheckpointFiles.Model, path => TensorFile.Save(path, tensors.Model)),
        new(CheckpointFiles.Optimizer, path => TensorFile.Save(path, tensors.Optimizer)),
        new(CheckpointFiles.State, state.Save),
        new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Serialize(recipe) + "\n")),
        new(CheckpointFiles.Tokenizer, tokenizer.Save),
    ];
}
