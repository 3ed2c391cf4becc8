using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Distributed;
using Trainer.Kernels;
using Trainer.Models.Devices;
using Trainer.Reporting.Runs;
using Trainer.Training.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Experiments;

/// <summary>Which steps of a run to compute again: those after <c>After</c> up to <c>Through</c>.</summary>
public sealed record VerificationRequest(
    string Run, long After, long Through, string DatasetsDirectory = TrainingRequest.DefaultDatasetsDirectory)
{
    /// <summary>The processes that compute the steps together, each with the same request; null for this one alone. All get the report.
    /// One that fails has to call <see cref="IProcessGroup.Abort"/>.</summary>
    public IProcessGroup? Processes { get; init; }
}

/// <summary>Something that the run has and that computing it again does not give: a figure of a step, or a tensor or field of the
/// checkpoint of a step.</summary>
public sealed record VerificationDifference(long Step, string What, string Detail);

/// <summary>What came of computing steps of a run again.</summary>
public sealed record VerificationReport
{
    /// <summary>The checkpoint it began with, at or before the first step asked for; 0 where the run's beginning was drawn again.</summary>
    public required long Start { get; init; }

    /// <summary>The last step computed.</summary>
    public required long End { get; init; }

    /// <summary>Records of loss and gradient norm that were compared.</summary>
    public required int Records { get; init; }

    /// <summary>Steps whose checkpoints were compared, every tensor of model and optimizer.</summary>
    public required IReadOnlyList<long> Checkpoints { get; init; }

    /// <summary>In the order of steps; empty where all is equal. Computing ends with a step whose figures differ.</summary>
    public required IReadOnlyList<VerificationDifference> Differences { get; init; }

    /// <summary>Where there are differences: what the run was computed with and this process is not.</summary>
    public required IReadOnlyList<string> LikelyCauses { get; init; }
}

/// <summary>Computes steps of a run again and compares bits with what it recorded; the run is only read.</summary>
public sealed class RunVerification
{
    private readonly RecordedRun run;
    private readonly Replay replay;
    private readonly List<VerificationDifference> differences = [];
    private readonly List<long> compared = [];

    private RunVerification(RecordedRun run, Replay replay) => (this.run, this.replay) = (run, replay);

    /// <summary>Verifies.</summary>
    /// <exception cref="UserException">The run has not got so far, its data or settings changed, or the checkpoint to begin with is
    /// damaged.</exception>
    public static VerificationReport Run(VerificationRequest request, IProgress<string> progress)
    {
        Ranks ranks = new(request.Processes ?? new SingleProcess(), progress);
        RecordedRun run = RecordedRun.Open(request.Run);
        RunMetrics metrics = RunMetrics.Read(request.Run, ranks.Report);
        RequireSteps(request, run, metrics);
        ResumePoint? from = ResumePoint.FromFirst(ranks, () => run.CheckpointAtOrBefore(request.After));
        long start = from?.State.Step ?? 0;
        bool Computed(long step) => step > start && step <= request.Through;
        if (!metrics.Steps.Any(record => Computed(record.Step)) && !run.Checkpoints.Steps.Any(Computed))
            throw new UserException($"{request.Run}: of steps {start + 1} to {request.Through} none has a record (monitoring.logEvery) " +
                "or a checkpoint to compare with; give a range that reaches one");
        Recipe recipe = run.RecipeAfter(start);
        RequireOneRecipe(run, recipe, start, request.Through);
        ranks.Report($"{request.Run}: computing steps {start + 1} to {request.Through} again, from " +
            (from is null ? "the run's beginning" : from.Directory));
        try
        {
            using Replay replay = Replay.Begin(recipe, from, request.DatasetsDirectory, progress, ranks.Group);
            return new RunVerification(run, replay).Compare(request, start, metrics);
        }
        catch (ExternalException error) when (error.IsOutOfMemory)
        {
            Device device = DeviceSelection.Choose(recipe.Training.Device, ranks.Group.LocalRank, ranks.Group.LocalSize);
            throw DeviceMemory.OutOfMemory(error, recipe.Training, device);
        }
    }

    // Of several processes, which compute the same, the first compares and decides.
    private VerificationReport Compare(VerificationRequest request, long start, RunMetrics metrics)
    {
        Dictionary<long, StepRecord> records = metrics.Steps.ToDictionary(record => record.Step);
        HashSet<long> checkpoints = [.. run.Checkpoints.Steps];
        int count = 0;
        bool differs = false;
        while (!differs && replay.State.Step < request.Through)
        {
            StepFigures.Reading figures = replay.TakeStep();
            long step = replay.State.Step;
            if (records.TryGetValue(step, out StepRecord? record))
            {
                count++;
                differs = !(Same(step, "loss", record.Loss, figures.Loss)
                    & Same(step, "gradientNorm", record.GradientNorm, figures.GradientNorm));
            }
            differs = FirstFinds(differs);
            // A run under way may have removed one since.
            if (FirstFinds(checkpoints.Contains(step) && Directory.Exists(run.Checkpoints.DirectoryOf(step)))) CompareCheckpoint(step);
        }
        VerificationReport Report() => new()
        {
            Start = start,
            End = replay.State.Step,
            Records = count,
            Checkpoints = compared,
            Differences = differences,
            LikelyCauses = differences.Count == 0 ? [] : EngineChanges.Find(run.Directory, replay.State),
        };
        return replay.Ranks.Group.Size == 1
            ? Report()
            : JsonSerializer.Deserialize<VerificationReport>(replay.Ranks.FromFirst(() => JsonSerializer.Serialize(Report()))!)!;
    }

    private bool FirstFinds(bool here) => replay.Ranks.AnyInTheEnd(replay.Ranks.IsFirst && here);

    private bool Same(long step, string figure, double? recorded, double computed)
    {
        if (recorded is { } value && value.Equals(computed)) return true;
        differences.Add(new(step, figure, FormattableString.Invariant($"{recorded} in metrics.jsonl, {computed} computed")));
        return false;
    }

    private void CompareCheckpoint(long step)
    {
        string directory = run.Checkpoints.DirectoryOf(step);
        compared.Add(step);
        int before = differences.Count;
        using (IDisposable? averages = replay.State.UseAverages())
        using (CheckpointTensors tensors = replay.State.Tensors()) // which all ranks collect
        {
            if (!replay.Ranks.IsFirst) return;
            CompareFile(step, directory, CheckpointFiles.Model, tensors.Model);
            CompareFile(step, directory, CheckpointFiles.Optimizer, tensors.Optimizer);
        }
        CompareState(step, directory);
        if (differences.Count > before && Damage(step) is { } damage) differences.Add(new(step, CheckpointFiles.Manifest, damage));
    }

    private void CompareFile(long step, string directory, string name, IReadOnlyList<(string Name, Tensor Value)> tensors)
    {
        try
        {
            using SafetensorsFile file = SafetensorsFile.Open(Path.Combine(directory, name));
            HashSet<string> left = [.. file.Names];
            foreach ((string tensor, Tensor value) in tensors)
            {
                string? difference = left.Remove(tensor) ? TensorDifference.Find(file.Read(tensor), value) : "it is missing in the file";
                if (difference is not null) differences.Add(new(step, $"{name}: {tensor}", difference));
            }
            differences.AddRange(left.Order(StringComparer.Ordinal).Select(extra =>
                new VerificationDifference(step, $"{name}: {extra}", "the file has it, and the run has no such tensor")));
        }
        catch (Exception error) when (error is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            differences.Add(new(step, name, $"it cannot be read: {error.Message}"));
        }
    }

    // The best loss is left out: nothing is evaluated here.
    private void CompareState(long step, string directory)
    {
        JsonObject Fields(CheckpointState state) =>
            JsonSerializer.SerializeToNode(state with { BestLoss = null, BestStep = null })!.AsObject();
        JsonObject computed = Fields(replay.State.Capture());
        try
        {
            foreach ((string field, JsonNode? value) in Fields(CheckpointState.Load(directory)))
                if (!JsonNode.DeepEquals(value, computed[field]))
                    differences.Add(new(step, $"{CheckpointFiles.State}: {field}", "it is not what is computed"));
        }
        catch (UserException damage)
        {
            differences.Add(new(step, CheckpointFiles.State, damage.Message));
        }
    }

    private string? Damage(long step)
    {
        try
        {
            run.Checkpoints.RequireWhole(step);
            return null;
        }
        catch (UserException damage)
        {
            return damage.Message;
        }
    }

    private static void RequireSteps(VerificationRequest request, RecordedRun run, RunMetrics metrics)
    {
        if (request.After < 0 || request.After >= request.Through)
            throw new ConfigurationException([new Problem("--steps", $"{request.After}:{request.Through} has no steps; give the step to " +
                "begin after and a later one to end with, such as 4000:4500")], "command line");
        long last = Math.Max(metrics.Steps is [.., var record] ? record.Step : 0, run.Checkpoints.Steps.LastOrDefault());
        if (request.Through > last)
            throw new UserException($"{request.Run}: it is recorded up to step {last}, so that steps to {request.Through} cannot be " +
                "verified; give a range within the run");
    }

    private static void RequireOneRecipe(RecordedRun run, Recipe recipe, long start, long through)
    {
        foreach (long step in run.Checkpoints.Steps.Where(step => step > start && step < through))
        {
            IReadOnlyList<string> changes = ResumeValidation.Differences(
                recipe, run.RecipeAfter(step), "training", "optimizer", "schedule", "distillation", "preference", "adapter");
            if (changes.Count > 0)
                throw new UserException($"{run.Directory}: it went on with other settings after step {step}:\n" +
                    string.Concat(changes.Select(change => $"  {change}\n")) +
                    $"verify the parts one by one: --steps {start}:{step}, then --steps {step}:{through}");
        }
    }
}
