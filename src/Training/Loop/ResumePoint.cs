using Trainer.Checkpoints;
using Trainer.Configuration;

namespace Trainer.Training;

/// <summary>The checkpoint that a run goes on from.</summary>
/// <param name="Directory">Its directory; every file in it was verified.</param>
/// <param name="State">Its state.</param>
internal sealed record ResumePoint(string Directory, CheckpointState State)
{
    /// <summary>Finds where a run goes on: its newest whole checkpoint, if its recipe allows it.</summary>
    /// <param name="store">The run's checkpoints.</param>
    /// <param name="recipe">The recipe to go on with.</param>
    /// <param name="tell">Told of damaged checkpoints passed over, and of what changed since.</param>
    /// <returns><c>null</c> where the run has no checkpoint yet.</returns>
    /// <exception cref="UserException">No checkpoint is whole, or the recipe changed where it must not.</exception>
    public static ResumePoint? Find(CheckpointStore store, Recipe recipe, Action<string> tell)
    {
        if (store.NewestWhole(tell) is not { } step)
        {
            tell("no checkpoint yet: the run begins at its first step");
            return null;
        }
        string directory = store.DirectoryOf(step);
        foreach (string change in ResumeRules.Check(Recipe.Load(Path.Combine(directory, CheckpointFiles.Configuration)), recipe)) tell($"changed since the checkpoint: {change}");
        return new ResumePoint(directory, CheckpointState.Load(directory));
    }

    /// <summary>Checks that a directory is not a checkpoint, taken for a run.</summary>
    /// <exception cref="UserException">It is one; the message says how training can begin from it.</exception>
    public static void RequireRun(string directory)
    {
        if (!File.Exists(Path.Combine(directory, CheckpointFiles.Manifest))) return;
        throw new UserException(File.Exists(Path.Combine(directory, CheckpointFiles.State))
            ? $"{directory}: it is one checkpoint of a run, and a run goes on as a whole; give the run's directory to --run"
            : $"{directory}: it is a converted or imported checkpoint, which has no optimizer state, so there is nothing to resume; begin a run with its weights: set initialize.from to {directory}, and leave out --resume");
    }

    /// <summary>Checks that the training data is what it was.</summary>
    /// <exception cref="UserException">It is not: the place in it would mean nothing.</exception>
    public void RequireData(string fingerprint)
    {
        if (State.DataFingerprint != fingerprint)
            throw new UserException(
                $"the training data changed since {Directory} was saved (fingerprint {State.DataFingerprint}, now {fingerprint}): " +
                "restore the files, or start another run with --run and a new directory (its weights can come from initialize.from)");
    }
}
