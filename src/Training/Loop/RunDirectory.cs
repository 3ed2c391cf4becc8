using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Training;

/// <summary>The directory of one run, held by one process at a time.</summary>
/// <remarks>The hold is a lock on <c>.lock</c> that the operating system takes away with the process, however it ends.</remarks>
public sealed class RunDirectory : IDisposable
{
    private readonly FileStream hold;

    private RunDirectory(string path, FileStream hold)
    {
        (Root, this.hold) = (path, hold);
        Checkpoints = new CheckpointStore(Path.Combine(path, CheckpointFiles.Folder));
    }

    /// <summary>The directory itself.</summary>
    public string Root { get; }

    /// <summary>The run's checkpoints.</summary>
    public CheckpointStore Checkpoints { get; }

    /// <summary>Takes hold of a run's directory, and clears away what a killed run left half-written.</summary>
    /// <param name="path">The directory; made when it is not there.</param>
    /// <param name="resume">Whether a run in it goes on. If not, there must be no checkpoint in it.</param>
    /// <returns>The directory; dispose it to let go.</returns>
    /// <exception cref="UserException">Another process holds it, it has checkpoints of a run that is not to go on, or it
    /// cannot be written to.</exception>
    public static RunDirectory Open(string path, bool resume)
    {
        RunDirectory run = new(path, Hold(path));
        try
        {
            run.Checkpoints.RemoveLeftovers();
            if (!resume && run.Checkpoints.Steps is [.., var newest])
                throw new UserException(
                    $"{path}: a run with checkpoints is here already, the newest of step {newest}; " +
                    "go on with --resume, or start another run with --run and a new directory");
            return run;
        }
        catch
        {
            run.Dispose();
            throw;
        }
    }

    /// <summary>Writes the resolved configuration as <c>config.json</c>.</summary>
    /// <param name="json">The configuration.</param>
    public void SaveConfiguration(string json) => DurableFile.Replace(Path.Combine(Root, CheckpointFiles.Configuration), json + "\n");

    /// <inheritdoc/>
    public void Dispose() => hold.Dispose();

    private static FileStream Hold(string path)
    {
        string file = Path.Combine(path, ".lock");
        try
        {
            Directory.CreateDirectory(path);
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException) when (File.Exists(file))
        {
            throw new UserException($"{path}: another process is training in this run directory; wait for it to end, or use --run and another directory");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the run directory cannot be used: {error.Message}", error);
        }
    }
}
