using System.Collections.Concurrent;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Reporting.Monitoring;
using Trainer.Reporting.Runs;
using Trainer.Reporting.Sweeps;

namespace Trainer.Training.Sweeps;

/// <summary>How the training of a run ended: an <see cref="Error"/> where it failed, and whether it was stopped before the step it was to
/// reach.</summary>
internal sealed record WorkerResult(bool Stopped, string? Error = null);

/// <summary>Trains a run of a sweep, whose config.json is in its directory, from its newest checkpoint through a step.</summary>
internal interface ISweepWorker
{
    Task<WorkerResult> Train(string directory, long until, CancellationToken stop);
}

/// <summary>Trains the runs of a sweep, rung by rung, several at once, and keeps account of them in sweep.json. Where it was killed it goes
/// on: runs by their checkpoints, rungs by the losses that were recorded.</summary>
internal sealed class SweepRunner(SweepPlan plan, int jobs, ISweepWorker worker, IProgress<string> progress)
{
    private readonly ConcurrentDictionary<string, SweepOutcome> outcomes = new();
    private readonly Lock saving = new();
    private SweepRecord? before;

    private SweepDefinition Definition => plan.Definition;

    /// <summary>Trains all there is to train; false where it was stopped before.</summary>
    public async Task<bool> Run(string datasetsDirectory, CancellationToken stop)
    {
        using FileStream held = DirectoryLock.Take(plan.Directory, "another process is running a sweep in this directory; wait for it to " +
            "end, or use --run and another directory");
        TakeOver();
        // Before anything is written: where a text is missing, no sweep may be left that refuses the corrected one.
        Prepare(datasetsDirectory);
        Save(); // first: it makes the directory a sweep's
        foreach ((SweepRun run, Recipe recipe) in Definition.Runs.Zip(plan.Recipes)) SaveRecipe(run, recipe);
        int[] configurations = [.. Enumerable.Range(0, Definition.Configurations.Count)];
        foreach (long rung in Definition.Rungs)
        {
            if (!await TrainAll(configurations, rung, stop)) return false;
            configurations = Survivors(configurations, rung);
        }
        return await TrainAll(configurations, long.MaxValue, stop);
    }

    /// <summary>Reads how a sweep that was begun here stands; throws where it is another one. What failed before is tried again.</summary>
    private void TakeOver()
    {
        if (SweepRecord.IsIn(plan.Directory))
        {
            before = SweepRecord.Load(plan.Directory);
            SweepConflict.RequireSame(plan, before.Definition);
            if (before.Jobs is { } then && then != jobs)
                progress.Report($"{plan.Directory}: the sweep was begun with --jobs {then}; with {jobs} each run has another number of " +
                    "threads, unless OMP_NUM_THREADS sets it, so that its bits may differ from those of earlier runs");
            foreach ((string run, SweepOutcome outcome) in before.Outcomes)
                if (outcome.Status != SweepStatus.Failed) outcomes[run] = outcome;
        }
        else if (Directory.EnumerateFileSystemEntries(plan.Directory)
            .Any(path => Path.GetFileName(path) is not (DirectoryLock.FileName or SweepRecord.FileName + ".tmp")))
        {
            throw new UserException($"{plan.Directory}: it holds something else than a sweep; give another directory to --run");
        }
    }

    private void SaveRecipe(SweepRun run, Recipe recipe)
    {
        string directory = Directory.CreateDirectory(Path.Combine(plan.Directory, run.Name)).FullName;
        string path = Path.Combine(directory, CheckpointFiles.Configuration);
        if (!File.Exists(path)) DurableFile.Replace(path, ConfigurationJson.Serialize(recipe) + "\n");
    }

    /// <summary>Once for all runs, which would otherwise wait for each other.</summary>
    private void Prepare(string datasetsDirectory)
    {
        foreach (Recipe recipe in plan.Recipes.DistinctBy(recipe =>
            ConfigurationJson.Serialize(recipe.Data) + ConfigurationJson.Serialize(recipe.Tokenizer)))
            RecipeData.Prepare(recipe, datasetsDirectory, progress).Dispose();
    }

    private async Task<bool> TrainAll(int[] configurations, long rung, CancellationToken stop)
    {
        (SweepRun Run, long Until)[] due = [.. Definition.Runs.Zip(plan.Recipes)
            .Where(entry => configurations.Contains(entry.First.Configuration))
            .Select(entry => (entry.First, Math.Min(rung, entry.Second.Training.Steps)))
            .Where(entry => !IsDone(entry.First, entry.Item2))];
        int started = 0;
        ParallelOptions options = new() { MaxDegreeOfParallelism = jobs };
        await Parallel.ForEachAsync(due, options, async (entry, _) =>
        {
            if (stop.IsCancellationRequested) return;
            progress.Report($"run {Interlocked.Increment(ref started)} of {due.Length}: {entry.Run.Name} to step " +
                HumanFormat.Number(entry.Until));
            await Train(entry.Run, entry.Until, stop);
        });
        return due.All(entry => IsDone(entry.Run, entry.Until));
    }

    private async Task Train(SweepRun run, long until, CancellationToken stop)
    {
        string directory = Path.Combine(plan.Directory, run.Name);
        WorkerResult result = await worker.Train(directory, until, stop);
        if (result is { Stopped: true, Error: null }) return;
        long steps = plan.Recipes[IndexOf(run)].Training.Steps;
        outcomes[run.Name] = result.Error is { } error ? new(SweepStatus.Failed, until, error)
            : new(until == steps ? SweepStatus.Completed : SweepStatus.Paused, until);
        Save();
        progress.Report(result.Error is { } reason
            ? $"{run.Name} failed: {reason}"
            : $"{run.Name}: step {HumanFormat.Number(until)}, {Describe(RunMetrics.Read(directory, progress.Report).Best)}");
    }

    private int IndexOf(SweepRun run) => Definition.Runs.Index().First(entry => entry.Item == run).Index;

    private static string Describe(EvaluationRecord? best) =>
        best is null ? "not validated" : $"best validation loss {HumanFormat.Loss(best.Loss)} at step {HumanFormat.Number(best.Step)}";

    private bool IsDone(SweepRun run, long until) =>
        outcomes.TryGetValue(run.Name, out SweepOutcome? outcome) && (outcome.Status == SweepStatus.Failed || outcome.Step >= until);

    /// <summary>The configurations with the lowest loss so far, on average over their seeds; those with a failed run come last.</summary>
    private int[] Survivors(int[] configurations, long rung)
    {
        int kept = SuccessiveHalving.Kept(configurations.Length, Definition.Halving!.Value);
        int[] survivors = [.. configurations.OrderBy(configuration => LossAt(configuration, rung)).Take(kept).Order()];
        foreach (SweepRun run in Definition.Runs.Where(run => configurations.Except(survivors).Contains(run.Configuration)))
            if (outcomes[run.Name] is { Status: SweepStatus.Paused } paused)
                outcomes[run.Name] = paused with { Status = SweepStatus.Dropped };
        Save();
        progress.Report($"rung at step {HumanFormat.Number(rung)}: {kept} of {configurations.Length} configurations go on: " +
            string.Join("; ", survivors.Select(Describe)));
        return survivors;
    }

    private double LossAt(int configuration, long rung) => Definition.Runs.Where(run => run.Configuration == configuration).Average(run =>
        outcomes[run.Name].Status == SweepStatus.Failed
            ? double.PositiveInfinity
            : RunMetrics.Read(Path.Combine(plan.Directory, run.Name), _ => { }).Evaluations
                .Where(record => record.Step <= rung && double.IsFinite(record.Loss)).Select(record => record.Loss)
                .DefaultIfEmpty(double.PositiveInfinity).Min());

    private string Describe(int configuration) =>
        string.Join(", ", Definition.Varied.Zip(Definition.Configurations[configuration].Values, (path, value) => $"{path}={value}"));

    private void Save()
    {
        lock (saving)
            new SweepRecord(Definition, new SortedDictionary<string, SweepOutcome>(outcomes))
            {
                Jobs = before is null ? jobs : before.Jobs,
            }.Save(plan.Directory);
    }
}
