using System.Text.Json.Nodes;
using Trainer.Checkpoints.GroupedQuery;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;

namespace Trainer.Checkpoints;

/// <summary>Makes one checkpoint out of another: its weights, tokenizer and recipe, changed; no optimizer state, which means nothing for them.</summary>
public static class CheckpointConversion
{
    /// <summary>Converts, one tensor at a time.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="output">The checkpoint directory to write; nothing may be there yet.</param>
    /// <param name="request">What is to change.</param>
    /// <returns>What changed.</returns>
    /// <exception cref="ConfigurationException">The model cannot be converted so; all reasons are listed.</exception>
    /// <exception cref="UserException">The directory cannot be written.</exception>
    public static ConversionReport Run(Checkpoint checkpoint, string output, ConversionRequest request)
    {
        ModelOptions from = checkpoint.Model;
        Problem[] problems = [.. request.Problems(from)];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
        ModelOptions to = Checked(request.Apply(from), output);
        JsonObject recipe = RecipeOf(checkpoint, to, output);
        using WeightFiles weights = WeightFiles.OpenFile(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
        IWeightSource converted = request.KeyValueHeads is { } heads ? new PooledWeights(weights, from, heads, request.Pool, request.Seed) : weights;
        CheckpointDirectory.Write(output,
        [
            new(CheckpointFiles.Model, path => Safetensors.Write(path, Pending(converted))),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Format(recipe) + "\n")),
            new(CheckpointFiles.Tokenizer, checkpoint.Tokenizer.Save),
            .. Companions(checkpoint.Directory),
        ]);
        return new(from, to, ModelCost.Of(from, checkpoint.Tokenizer.VocabularySize), ModelCost.Of(to, checkpoint.Tokenizer.VocabularySize));
    }

    /// <summary>Reads the model back, so that its rules are asked once more.</summary>
    private static ModelOptions Checked(ModelOptions model, string output) =>
        ConfigurationJson.Deserialize<ModelOptions>(ConfigurationJson.Serialize(model), $"{output}: the converted model");

    /// <summary>The recipe that trains the converted model further, as it was trained.</summary>
    private static JsonObject RecipeOf(Checkpoint checkpoint, ModelOptions model, string output)
    {
        JsonObject recipe = CheckpointConfiguration.ReadJson(Path.Combine(checkpoint.Directory, CheckpointFiles.Configuration));
        recipe["model"] = ConfigurationJson.ToNode(model);
        recipe["initialize"] = new JsonObject { ["from"] = output };
        return recipe;
    }

    private static IReadOnlyList<PendingTensor> Pending(IWeightSource weights) =>
        [.. weights.Names.Select(name => new PendingTensor(name, weights.Info(name).Type, weights.Info(name).Shape, () => weights.Read(name)))];

    private static IEnumerable<CheckpointPart> Companions(string directory) =>
        CompanionFiles.In(directory).Keys.Select(name => new CheckpointPart(name, path => File.Copy(Path.Combine(directory, name), path)));
}

/// <summary>What a conversion changed.</summary>
/// <param name="From">The model before.</param>
/// <param name="To">The model after.</param>
/// <param name="CostBefore">What it cost before.</param>
/// <param name="CostAfter">What it costs after.</param>
public sealed record ConversionReport(ModelOptions From, ModelOptions To, ModelCost CostBefore, ModelCost CostAfter);
