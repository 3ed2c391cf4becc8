using System.Diagnostics;
using System.Globalization;
using Trainer.Checkpoints;

namespace Trainer.Training.Sweeps;

/// <summary>Trains runs in processes of this program. Their standard input stays open as long as this process lives and wants them to go
/// on: they save a checkpoint and end when it closes, even where this process was killed.</summary>
internal sealed class TrainProcess(IReadOnlyList<string> program, int jobs, IProgress<string> progress) : ISweepWorker
{
    private const int Interrupted = 130;
    private const int ErrorLines = 8;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    public async Task<WorkerResult> Train(string directory, long until, CancellationToken stop)
    {
        if (!await Free(directory, stop)) return new WorkerResult(Stopped: true);
        using Process process = Process.Start(StartInfo(directory, until))!;
        Queue<string> errors = new();
        process.ErrorDataReceived += (_, line) => Keep(errors, line.Data);
        process.BeginErrorReadLine();
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        using (stop.Register(process.StandardInput.Close)) await process.WaitForExitAsync(CancellationToken.None);
        return process.ExitCode switch
        {
            0 => new WorkerResult(Stopped: false),
            Interrupted => new WorkerResult(Stopped: true),
            int code => new WorkerResult(Stopped: false, errors.Count > 0 ? string.Join('\n', errors) : $"it ended with exit code {code}"),
        };
    }

    private ProcessStartInfo StartInfo(string directory, long until)
    {
        ProcessStartInfo start = new(program[0],
        [
            .. program.Skip(1), "train", Path.Combine(directory, CheckpointFiles.Configuration), "--run", directory, "--resume",
            "--until", until.ToString(CultureInfo.InvariantCulture), "--attached",
        ])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        // They are in config.json already, below what the sweep sets.
        string[] settings =
            [.. start.Environment.Keys.Where(name => name.StartsWith("TRAINER__", StringComparison.OrdinalIgnoreCase))];
        foreach (string name in settings) start.Environment.Remove(name);
        if (jobs > 1) start.Environment.TryAdd("OMP_NUM_THREADS", $"{Math.Max(1, Environment.ProcessorCount / jobs)}");
        return start;
    }

    /// <summary>Waits for a process of an earlier sweep that is still saving its checkpoint.</summary>
    private async Task<bool> Free(string directory, CancellationToken stop)
    {
        if (DirectoryLock.IsHeld(directory)) progress.Report($"{directory}: waiting for another process to end its training here");
        while (DirectoryLock.IsHeld(directory) && !stop.IsCancellationRequested) await Task.Delay(Pause, CancellationToken.None);
        return !stop.IsCancellationRequested;
    }

    /// <summary>Keeps the lines after the last one of a step: what the process failed with.</summary>
    private static void Keep(Queue<string> errors, string? line)
    {
        if (line is null) return;
        lock (errors)
        {
            if (line.StartsWith("step ", StringComparison.Ordinal)) errors.Clear();
            else errors.Enqueue(line);
            if (errors.Count > ErrorLines) errors.Dequeue();
        }
    }
}
