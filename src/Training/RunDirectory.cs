using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;

namespace Trainer.Training;

/// <summary>The directory of one run, locked by its file <c>.lock</c>; the operating system releases the lock with the process.</summary>
internal sealed class RunDirectory : IDisposable
{
    private readonly FileStream runLock;

    private RunDirectory(string path, FileStream runLock)
    {
        (Root, this.runLock) = (path, runLock);
        Checkpoints = new CheckpointStore(Path.Combine(path, CheckpointFiles.Folder));
    }

    public string Root { get; }

    public CheckpointStore Checkpoints { get; }

    /// <summary>The folder of what skipped steps left, which may not be there.</summary>
    public string SkippedSteps => Path.Combine(Root, "spikes");

    /// <summary>The folder of what profiles of steps left, which may not be there.</summary>
    public string Profile => Path.Combine(Root, "profile");

    /// <summary>Creates and locks the directory, and removes what a killed run left half-written. Throws where another process holds it,
    /// where it has checkpoints without <paramref name="resume"/>, or where it cannot be written to.</summary>
    public static RunDirectory Open(string path, bool resume)
    {
        RunDirectory run = new(path, DirectoryLock.Take(path, "another process is training in this run directory; wait for it to end, or " +
            "use --run and another directory"));
        try
        {
            run.Checkpoints.RemoveTemporaryFiles();
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

    public void SaveConfiguration(string json) => DurableFile.Replace(Path.Combine(Root, CheckpointFiles.Configuration), json + "\n");

    /// <summary>Beside the configuration, for recipes that go on from this run's model: its checkpoints come and go.</summary>
    public void SaveCodec(ModelCodec codec) => codec.File.Write(Path.Combine(Root, codec.File.Name));

    public void Dispose() => runLock.Dispose();
}
