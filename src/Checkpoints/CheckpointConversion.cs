using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;

namespace Trainer.Checkpoints;

/// <summary>Converts a checkpoint's weights and recipe; the optimizer state, which does not fit the new weights, is dropped.</summary>
public static class CheckpointConversion
{
    /// <summary>Writes to a new or empty directory, one tensor at a time.</summary>
    /// <exception cref="ConfigurationException">The model does not allow the conversion; all reasons are listed.</exception>
    /// <exception cref="UserException">The directory cannot be written.</exception>
    public static ConversionReport Run(Checkpoint checkpoint, string output, ConversionRequest request)
    {
        ModelOptions from = checkpoint.Model;
        Problem[] problems = [.. request.Problems(from), .. MergeProblems(checkpoint, request)];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
        ModelOptions to = Checked(request.Apply(from), output);
        JsonObject recipe = RecipeOf(checkpoint, to, output);
        using CheckpointAverage? average = request.Average is { } count ? CheckpointAverage.Open(checkpoint, count) : null;
        using IOpenWeights weights = checkpoint.OpenWeights();
        IWeightSource source = average ?? (IWeightSource)weights;
        IWeightSource converted = request.KeyValueHeads is { } heads
            ? new PooledWeights(source, from, heads, request.Pool, request.Seed)
            : source;
        CheckpointDirectory.Write(output,
        [
            new(CheckpointFiles.Model, path => Safetensors.Write(path, Pending(converted))),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Format(recipe) + "\n")),
            checkpoint.Codec.File,
            .. CheckpointFiles.Companions(checkpoint.Directory),
        ]);
        return new(from, to, ModelCost.Of(from, checkpoint.Codec.Outputs), ModelCost.Of(to, checkpoint.Codec.Outputs))
        {
            Averaged = average?.Directories ?? [],
        };
    }

    private static IEnumerable<Problem> MergeProblems(Checkpoint checkpoint, ConversionRequest request)
    {
        if (request.MergeAdapter && checkpoint.Configuration.Adapter is null)
            yield return new("--merge-adapter", $"{checkpoint.Directory} holds a whole model and no adapter; there is nothing to merge");
    }

    /// <summary>Reads the model back, so that it is validated like a recipe's.</summary>
    private static ModelOptions Checked(ModelOptions model, string output) =>
        ConfigurationJson.Deserialize<ModelOptions>(ConfigurationJson.Serialize(model), $"{output}: the converted model");

    private static JsonObject RecipeOf(Checkpoint checkpoint, ModelOptions model, string output)
    {
        JsonObject recipe = CheckpointConfiguration.ReadJson(Path.Combine(checkpoint.Directory, CheckpointFiles.Configuration));
        recipe["model"] = ConfigurationJson.ToNode(model);
        recipe["initialize"] = new JsonObject { ["from"] = output };
        recipe.Remove("adapter"); // it is in the weights
        return recipe;
    }

    private static IReadOnlyList<PendingTensor> Pending(IWeightSource weights) =>
        [.. weights.Names.Select(name =>
            new PendingTensor(name, weights.Info(name).Type, weights.Info(name).Shape, () => weights.Read(name)))];
}

/// <summary>The model and its cost before and after a conversion.</summary>
public sealed record ConversionReport(ModelOptions From, ModelOptions To, ModelCost CostBefore, ModelCost CostAfter)
{
    /// <summary>The checkpoints whose mean was taken, oldest first; none where there was no mean.</summary>
    public IReadOnlyList<string> Averaged { get; init; } = [];
}

/// <summary>A conversion to the mean of several checkpoints, fewer key-value heads, a longer context, or several of these.</summary>
public sealed record ConversionRequest
{
    /// <summary>How many checkpoints of the run to average, this one and those before it; null for this one alone.</summary>
    public int? Average { get; init; }

    /// <summary>Key-value heads of each layer; null to keep them.</summary>
    public int? KeyValueHeads { get; init; }

    /// <summary>How heads are pooled.</summary>
    public HeadPool Pool { get; init; } = HeadPool.Mean;

    /// <summary>Seed of random heads.</summary>
    public long Seed { get; init; } = 1337;

    /// <summary>Whether the checkpoint has to have an adapter, which every conversion merges into the weights.</summary>
    public bool MergeAdapter { get; init; }

    /// <summary>The context extension; null for none.</summary>
    public ContextExtension? Extension { get; init; }

    /// <summary>Why a model cannot be converted, with options of the command line as paths.</summary>
    internal IEnumerable<Problem> Problems(ModelOptions model)
    {
        if (KeyValueHeads is { } heads)
        {
            foreach (Problem problem in GroupedQueryModel.Problems(model, heads, "--key-value-heads")) yield return problem;
            if (heads > 0 && GroupedQueryModel.Has(model, heads))
                yield return new(
                    "--key-value-heads",
                    $"model.attention has {heads} key-value {(heads == 1 ? "head" : "heads")} already; there is nothing to pool");
        }
        foreach (Problem problem in Extension?.Problems(model, "--rope-scaling", "--factor") ?? []) yield return problem;
    }

    internal ModelOptions Apply(ModelOptions model)
    {
        if (KeyValueHeads is { } heads) model = GroupedQueryModel.Apply(model, heads);
        return Extension?.Apply(model) ?? model;
    }
}
