using Trainer.Checkpoints;
using Trainer.Configuration;

namespace Trainer.Training.Experiments;

/// <summary>A run that was trained, read and never changed: its recipe and the checkpoints that it keeps.</summary>
internal sealed class RecordedRun
{
    private RecordedRun(string directory, Recipe recipe)
    {
        (Directory, Recipe) = (directory, recipe);
        Checkpoints = new CheckpointStore(Path.Combine(directory, CheckpointFiles.Folder));
    }

    public string Directory { get; }

    /// <summary>The recipe of the run's latest part; an earlier one may have had another (<see cref="RecipeAfter"/>).</summary>
    public Recipe Recipe { get; }

    public CheckpointStore Checkpoints { get; }

    /// <summary>Opens a run's directory; throws a <see cref="UserException"/> where it is none.</summary>
    public static RecordedRun Open(string directory)
    {
        string configuration = Path.Combine(directory, CheckpointFiles.Configuration);
        if (!System.IO.Directory.Exists(directory))
            throw new UserException($"{directory}: there is no such run directory; runs are in runs/<name>, or where train --run put them");
        ResumePoint.RequireRun(directory);
        if (!File.Exists(configuration))
            throw new UserException($"{directory}: it is not a run directory: it has no {CheckpointFiles.Configuration}; give the " +
                "directory that train made, such as runs/<name>");
        return new RecordedRun(directory, Recipe.Load(configuration).Resolve());
    }

    /// <summary>The command that goes on with a run by the recipe it saved.</summary>
    public static string ResumeCommand(string directory) =>
        $"train {Path.Combine(directory, CheckpointFiles.Configuration)} --run {directory} --resume";

    /// <summary>The whole checkpoint of a step; throws, and lists those that are there, where the run keeps none.</summary>
    public ResumePoint CheckpointAt(long step)
    {
        if (!Checkpoints.Steps.Contains(step))
            throw new UserException($"{Directory}: no checkpoint of step {step} is kept; {Kept}");
        Checkpoints.RequireWhole(step);
        return ResumePoint.At(Checkpoints.DirectoryOf(step));
    }

    /// <summary>The newest checkpoint of a step or of one before it, which has to be whole; null for the run's beginning, which follows
    /// from its recipe.</summary>
    public ResumePoint? CheckpointAtOrBefore(long step) =>
        Checkpoints.Steps.Where(kept => kept <= step).Cast<long?>().LastOrDefault() is { } found ? CheckpointAt(found) : null;

    /// <summary>The recipe that the steps after this one were trained with, as the next checkpoint has it: a run may be resumed with other
    /// settings.</summary>
    public Recipe RecipeAfter(long step) =>
        Checkpoints.Steps.Where(kept => kept > step).Cast<long?>().FirstOrDefault() is { } next
            ? ResumePoint.RecipeOf(Checkpoints.DirectoryOf(next)).Resolve()
            : Recipe;

    private string Kept => Checkpoints.Steps is { Count: > 0 } steps
        ? $"there are those of {string.Join(", ", steps)}. A run keeps the newest checkpoint.keep ({Recipe.Checkpoint.Keep}) of those " +
          $"that checkpoint.every ({Recipe.Checkpoint.Every}) makes, the best and the last"
        : "it has no checkpoints at all";
}
