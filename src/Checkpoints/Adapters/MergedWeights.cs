using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Adapters;

/// <summary>The weights of a base with an adapter merged into them, one tensor at a time.</summary>
internal sealed class MergedWeights : IOpenWeights
{
    private readonly IOpenWeights original;
    private readonly WeightFiles adapter;
    private readonly LoraOptions options;
    private readonly ILookup<string, AdapterTarget> targets; // by the name of the weight
    private readonly LanguageModel shapes;

    private MergedWeights(IOpenWeights original, WeightFiles adapter, LanguageModel shapes, LoraOptions options)
    {
        (this.original, this.adapter, this.shapes, this.options) = (original, adapter, shapes, options);
        targets = AdapterTargets.Chosen(shapes, options).ToLookup(target => target.Weight);
        RequireNames();
    }

    /// <summary>Opens the weights of a checkpoint that holds an adapter, and those of its base.</summary>
    /// <exception cref="UserException">The base is gone or another, or the adapter does not fit it.</exception>
    public static MergedWeights Open(Checkpoint checkpoint, AdapterOptions options)
    {
        IOpenWeights original = checkpoint.Base!.Open(checkpoint.Directory).OpenWeights();
        WeightFiles? adapter = null;
        LanguageModel? shapes = null;
        try
        {
            adapter = WeightFiles.OpenFile(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
            shapes = checkpoint.Model.BuildForInference(checkpoint.Tokenizer.VocabularySize); // its weights are never touched
            return new(original, adapter, shapes, (LoraOptions)options);
        }
        catch
        {
            shapes?.Dispose();
            adapter?.Dispose();
            original.Dispose();
            throw;
        }
    }

    public string Location => adapter.Location;

    public IReadOnlyCollection<string> Names => original.Names;

    public SafetensorsInfo Info(string name) => original.Info(name);

    public Tensor Read(string name)
    {
        if (adapter.Names.Contains(name)) return adapter.Read(name); // trained in full
        if (!targets.Contains(name)) return original.Read(name);
        using DisposeScope scope = NewDisposeScope();
        Tensor weight = original.Read(name);
        Tensor merged = weight.to(ScalarType.Float32, copy: true);
        foreach (AdapterTarget target in targets[name])
        {
            Tensor rows = merged.narrow(-2, target.First, target.Rows);
            rows.copy_(LowRankUpdate.Merged(
                rows, Part(target, AdapterTensors.A), Part(target, AdapterTensors.B),
                options.WeightDecomposed ? Part(target, AdapterTensors.Magnitude) : null, options));
        }
        return merged.to_type(weight.dtype).MoveToOuterDisposeScope();
    }

    public void Dispose()
    {
        shapes.Dispose();
        adapter.Dispose();
        original.Dispose();
    }

    private Tensor Part(AdapterTarget target, string part) => adapter.Read(AdapterTensors.NameOf(target, part));

    private void RequireNames()
    {
        HashSet<string> left = [.. adapter.Names.Except(original.Names)];
        foreach ((string name, long[] shape) in AdapterTensors.Of(targets.SelectMany(layer => layer), options))
            if (!left.Remove(name) || !adapter.Info(name).Shape.SequenceEqual(shape))
                throw Misfit($"{name} [{string.Join(", ", shape)}] is missing or of another shape");
        if (left.Count > 0) throw Misfit($"{left.Order(StringComparer.Ordinal).First()} has no place in the model");
        foreach (string name in adapter.Names.Intersect(original.Names))
            if (!adapter.Info(name).Shape.SequenceEqual(original.Info(name).Shape))
                throw Misfit($"{name} has another shape than in its base");
    }

    private UserException Misfit(string what) =>
        new($"{Location}: it does not fit the adapter that its {CheckpointFiles.Configuration} describes: {what}");
}
