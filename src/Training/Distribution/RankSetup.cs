using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Distributed;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Distribution;

/// <summary>What each of the processes that compute a recipe's steps together begins with.</summary>
internal static class RankSetup
{
    /// <summary>Why so many processes cannot compute the steps of a recipe.</summary>
    public static IEnumerable<Problem> Validate(Recipe recipe, int processes)
    {
        foreach (Problem problem in recipe.Training.ValidateFor(processes)) yield return problem;
        if (processes > 1 && recipe.Training.ShardOptimizer && recipe.Monitoring.HistogramEvery > 0)
            yield return new("monitoring.histogramEvery", "no process has all gradients while training.shardOptimizer is on; set " +
                "histogramEvery to 0, or shardOptimizer to false");
    }

    /// <summary>Takes this process's share of processors and devices, and sets the device as the recipe says.</summary>
    public static (Ranks Ranks, Device Device) Begin(Recipe recipe, IProcessGroup group, IProgress<string> terminal)
    {
        group.Timeout = TimeSpan.FromSeconds(recipe.Training.CollectiveTimeout);
        ProcessorShare.Take(group);
        Device device = DeviceSelection.Choose(recipe.Training.Device, group.LocalRank, group.LocalSize);
        if (group.Size > 1 && group.AllGather($"{device.type}").Distinct().Count() > 1)
            throw new UserException("training.device: some processes see a GPU and others see none; mend the machine that should have " +
                "one (doctor says what it sees), or set training.device to cpu");
        if (device.type == DeviceType.CUDA && group.Size > 1) group = NcclProcessGroup.Create(group, device.index);
        DeviceSelection.SetDeterministic(recipe.Training.Deterministic);
        DeviceSelection.SetPrecision(recipe.Training.Precision, device);
        return (new(group, terminal), device);
    }

    /// <summary>The first rank prepares; others, which see the same files, read what is there then.</summary>
    public static TrainingData Prepare(Recipe recipe, string datasetsDirectory, Ranks ranks)
    {
        TrainingData? prepared = null;
        TrainingData Open() => RecipeData.Prepare(recipe, datasetsDirectory, ranks);
        string fingerprint = ranks.FromFirst(() => (prepared = Open()).Fingerprint)!;
        prepared ??= Open();
        if (prepared.Fingerprint == fingerprint) return prepared;
        string own = prepared.Fingerprint;
        prepared.Dispose();
        throw new UserException(
            $"rank {ranks.Group.Rank} on {Environment.MachineName} reads other training data than the first rank (fingerprint {own}, " +
            $"there {fingerprint}): all machines have to see the same files, such as on a shared file system");
    }
}
