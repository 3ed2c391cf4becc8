using TorchSharp;
using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Adapters;

/// <summary>An adapter to put beside the weights of a model that is loaded once for several: a checkpoint that holds one, or a directory of
/// PEFT's.</summary>
public sealed class AdapterSource
{
    private readonly string path;
    private readonly Checkpoint original;

    private AdapterSource(string path, Checkpoint original, Checkpoint? checkpoint) =>
        (this.path, this.original, Checkpoint) = (path, original, checkpoint);

    /// <summary>The checkpoint with the adapter; null for PEFT's files, which have no tokenizer and no recipe of their own.</summary>
    public Checkpoint? Checkpoint { get; }

    /// <summary>Opens a checkpoint's or PEFT's directory, or a run's best, else its newest.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="original">What it goes on: the checkpoint whose weights it was trained on, wherever that lies now.</param>
    /// <exception cref="UserException">There is none, or it goes on other weights, tokens or settings.</exception>
    public static AdapterSource Open(string path, Checkpoint original)
    {
        if (PeftImport.IsAdapter(path)) return new(path, original, null);
        Checkpoint checkpoint = Checkpoint.Open(path);
        if (checkpoint.Base is not { } trained)
            throw new UserException($"{checkpoint.Directory}: it holds a whole model and no adapter; serve it by itself");
        if (trained.Sha256 != original.WeightsSha256)
            throw new UserException(
                $"{checkpoint.Directory}: its adapter goes on weights with the SHA-256 {trained.Sha256} ({trained.Base}), and those in " +
                $"{original.Directory} have {original.WeightsSha256}; serve it with the base that it was trained on");
        if (checkpoint.Codec.Json != original.Codec.Json)
            throw new UserException($"{checkpoint.Directory}: its {CheckpointFiles.Tokenizer} is another than that of " +
                $"{original.Directory}, so its tokens mean something else; serve it by itself");
        SettingDifference[] differences =
            [.. SettingDifference.Reported(CanonicalModel.Differences(checkpoint.Model, original.Model))];
        if (differences.Length > 0)
            throw new UserException($"{checkpoint.Directory}: its model computes in another way than that of {original.Directory}, and " +
                "one pass computes both; serve it by itself:\n  " + string.Join("\n  ", differences.Select(difference =>
                    $"model.{difference.Path} is {difference.Model} there, and {difference.Family} in the base")));
        return new(checkpoint.Directory, original, checkpoint);
    }

    /// <summary>Adds it to the original's model, as it was loaded in any precision; the adapter stays float32.</summary>
    /// <exception cref="UserException">It does not fit, or has weights that are no low-rank updates.</exception>
    public void AddTo(LanguageModel model, string name)
    {
        if (Checkpoint is null)
        {
            using PeftAdapter adapter = PeftAdapter.Open(path, original);
            Add(model, name, adapter.Options, adapter.Tensors, adapter.Location);
            return;
        }
        using WeightFiles files = WeightFiles.OpenFile(Path.Combine(path, CheckpointFiles.Model));
        Add(model, name, (LoraOptions)Checkpoint.Configuration.Adapter!,
            [.. files.Names.Select(tensor => new PendingTensor(
                tensor, files.Info(tensor).Type, files.Info(tensor).Shape, () => files.Read(tensor)))],
            files.Location);
    }

    private void Add(LanguageModel model, string name, LoraOptions options, IEnumerable<PendingTensor> tensors, string location)
    {
        Dictionary<string, PendingTensor> left = tensors.ToDictionary(tensor => tensor.Name);
        IReadOnlyList<AdapterTarget> targets = AdapterTargets.Chosen(model, options);
        if (targets.FirstOrDefault(target => target.IsOfExperts) is { } expert)
            throw new UserException($"{location}: it has adapters of experts ({expert.Name}), which rows of a batch cannot choose; serve " +
                "it by itself, or merged by convert --merge-adapter");
        Dictionary<string, PendingTensor> found = [];
        foreach ((string tensor, long[] shape) in AdapterTensors.Of(targets, options))
            found[tensor] = left.Remove(tensor, out PendingTensor? stored) && stored.Shape.SequenceEqual(shape)
                ? stored
                : throw new UserException($"{location}: it does not fit the adapter that its configuration describes: {tensor} " +
                    $"[{string.Join(", ", shape)}] is missing or of another shape");
        if (left.Count > 0)
            throw new UserException($"{location}: beside low-rank updates it has {left.Keys.Order(StringComparer.Ordinal).First()} " +
                "(adapter.train, modules_to_save), of which all rows of a batch share the base's; serve it by itself, or merged by " +
                "convert --merge-adapter");

        using IOpenWeights? weights = options.WeightDecomposed ? original.OpenWeights() : null;
        List<(AdapterTarget, LowRankUpdate)> updates = [];
        try
        {
            foreach (AdapterTarget target in targets) updates.Add((target, Update(target)));
            model.AddAdapter(name, updates);
        }
        catch
        {
            foreach ((_, LowRankUpdate update) in updates) update.Dispose();
            throw;
        }

        LowRankUpdate Update(AdapterTarget target)
        {
            Tensor Read(string part) => found[AdapterTensors.NameOf(target, part)].Read();
            Tensor Moved(Tensor tensor) => model.Device.type == DeviceType.CPU ? tensor : tensor.to(model.Device, disposeAfter: true);
            (Tensor a, Tensor b) = (Read(AdapterTensors.A), Read(AdapterTensors.B));
            if (weights is null) return new(target, options, Moved(a), Moved(b), null);
            // Lengths are those of the weights as they were trained, whatever the model is loaded in.
            using Tensor magnitude = Read(AdapterTensors.Magnitude), whole = weights.Read(target.Weight);
            using Tensor rows = whole.narrow(0, target.First, target.Rows);
            Tensor factor = LowRankUpdate.Factor(rows, a, b, magnitude, options);
            return new(target, options, Moved(a), Moved(b), Moved(factor));
        }
    }
}
