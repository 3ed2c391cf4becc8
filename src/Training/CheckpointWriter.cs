using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>When checkpoints are written, besides after the best evaluation, the last step and an interrupt, and kept.</summary>
public sealed record CheckpointOptions
{
    /// <summary>Steps between checkpoints; 0 for none on a schedule.</summary>
    [Description("Steps between checkpoints; 0: none on a schedule, only best, last and interrupted.")]
    [Range(0, long.MaxValue)]
    public long Every { get; init; } = 500;

    /// <summary>How many of the newest are kept, besides the best and the last.</summary>
    [Description("How many of the newest checkpoints are kept; the best and the last one stay in any case.")]
    [Range(1, int.MaxValue)]
    public int Keep { get; init; } = 3;

    /// <summary>Whether they are written in the background, from a copy; null: where the copy takes at most 1 GiB.</summary>
    [Description("Whether checkpoints are written from a copy of weights and optimizer while training goes on. null: where that copy " +
        "takes at most 1 GiB.")]
    public bool? Background { get; init; }

    internal bool InBackground(long copy) => Background ?? copy <= LargestCopy;

    private const long LargestCopy = 1L << 30;
}

/// <summary>Writes the run's checkpoints, one at a time: in the background from a copy, or at once where the copy would be large or
/// training is over. <paramref name="companions"/> go into each; <paramref name="log"/> gets a line for each, on the calling thread. Not
/// thread-safe.</summary>
internal sealed class CheckpointWriter(
    CheckpointStore store, Recipe recipe, ModelCodec codec, IReadOnlyList<PendingFile> companions, Action<string> log) : IDisposable
{
    private Task<string>? writing;

    /// <summary>Saves a checkpoint of these tensors, which it disposes of, and removes those that need not be kept; throws where it, or the
    /// last one, cannot be written.</summary>
    public void Save(TrainState training, CheckpointTensors tensors, bool isBest)
    {
        Finish();
        CheckpointState state = training.Capture();
        IReadOnlyList<PendingFile> further = training.Files();
        if (state.Step >= recipe.Training.Steps || !recipe.Checkpoint.InBackground(tensors.Bytes))
        {
            using (tensors) log(Write(tensors, state, further, isBest));
            return;
        }
        CheckpointTensors copy = tensors.Copy();
        writing = Task.Run(() =>
        {
            using (copy) return Write(copy, state, further, isBest);
        });
    }

    /// <summary>Logs a checkpoint that was written in the background since the last call; throws where that failed.</summary>
    public void ReportFinished()
    {
        if (writing is { IsCompleted: true }) Finish();
    }

    public void Finish()
    {
        if (writing is not { } task) return;
        writing = null;
        log(task.GetAwaiter().GetResult());
    }

    /// <summary>Makes <c>best</c> agree with a resumed run's state: a run killed between two renames may have left it behind.</summary>
    public void RestoreBest(TrainState training)
    {
        long? best = training.Best is { Step: var step } && Directory.Exists(store.DirectoryOf(step)) ? step : null;
        if (store.Best != best) store.MarkBest(best);
    }

    /// <summary>Waits for a checkpoint being written. Its failure is not reported: the run failed before, for its own reason.</summary>
    public void Dispose() => writing?.ContinueWith(_ => { }, TaskScheduler.Default).Wait();

    private string Write(CheckpointTensors tensors, CheckpointState state, IReadOnlyList<PendingFile> further, bool isBest)
    {
        string directory = store.Save(state.Step, [.. Files(tensors, state), .. further]);
        if (isBest) store.MarkBest(state.Step);
        store.Rotate(recipe.Checkpoint.Keep);
        return $"saved {directory}{(isBest ? ", the best so far" : "")}";
    }

    private IReadOnlyList<PendingFile> Files(CheckpointTensors tensors, CheckpointState state) =>
    [
        new(CheckpointFiles.Model, path => TensorFile.Save(path, tensors.Model)),
        new(CheckpointFiles.Optimizer, path => TensorFile.Save(path, tensors.Optimizer)),
        new(CheckpointFiles.State, state.Save),
        new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Serialize(recipe) + "\n")),
        codec.File,
        .. companions,
    ];
}

/// <summary>The tensors of a checkpoint: those in training, or tensors of its own.</summary>
internal sealed class CheckpointTensors : IDisposable
{
    private readonly bool ownsModel, ownsOptimizer;

    private CheckpointTensors(
        IReadOnlyList<(string Name, Tensor Value)> model, bool ownsModel,
        IReadOnlyList<(string Name, Tensor Value)> optimizer, bool ownsOptimizer) =>
        (Model, this.ownsModel, Optimizer, this.ownsOptimizer) = (model, ownsModel, optimizer, ownsOptimizer);

    public IReadOnlyList<(string Name, Tensor Value)> Model { get; }

    public IReadOnlyList<(string Name, Tensor Value)> Optimizer { get; }

    public long Bytes => Model.Concat(Optimizer).Sum(entry => entry.Value.numel() * entry.Value.element_size());

    /// <summary>The tensors themselves, to be read before the next step.</summary>
    public static CheckpointTensors Of(SequenceModel model, Optimizer optimizer) =>
        new([.. ModelWeights.Of(model)], ownsModel: false, [.. optimizer.State], ownsOptimizer: false);

    /// <summary>The weights themselves, and a state that was collected from several ranks, which becomes this object's.</summary>
    public static CheckpointTensors Of(SequenceModel model, IReadOnlyList<(string Name, Tensor Value)> collected) =>
        new([.. ModelWeights.Of(model)], ownsModel: false, collected, ownsOptimizer: true);

    /// <summary>Tensors of its own, those that this object owned among them.</summary>
    public CheckpointTensors Copy()
    {
        using var quiet = no_grad();
        return new(
            ownsModel ? Model : [.. Model.Select(Copy)], ownsModel: true,
            ownsOptimizer ? Optimizer : [.. Optimizer.Select(Copy)], ownsOptimizer: true);
    }

    /// <summary>Frees its own tensors; those in training belong to others.</summary>
    public void Dispose()
    {
        foreach ((_, Tensor value) in (ownsModel ? Model : []).Concat(ownsOptimizer ? Optimizer : [])) value.Dispose();
    }

    private static (string Name, Tensor Value) Copy((string Name, Tensor Value) entry)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor value = entry.Value.detach();
        return (entry.Name, (value.device_type == DeviceType.CPU ? value.clone() : value.cpu()).DetachFromDisposeScope());
    }
}
