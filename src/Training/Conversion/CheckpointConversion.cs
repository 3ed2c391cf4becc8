using Trainer.Configuration;
using Trainer.Conversion.GroupedQuery;
using Trainer.Conversion.HuggingFace;
using Trainer.Conversion.Weights;
using Trainer.Kernels;
using Trainer.Training.Checkpoints;
using Trainer.Transformers;

namespace Trainer.Training.Conversion;

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
        ModelOptions from = checkpoint.Recipe.Model;
        Problem[] problems = [.. request.Problems(from)];
        if (problems.Length > 0) throw new ConfigurationException(problems, "command line");
        Recipe recipe = RecipeOf(checkpoint.Recipe, request.Apply(from), output);
        using WeightFiles weights = WeightFiles.OpenFile(Path.Combine(checkpoint.Directory, CheckpointFiles.Model));
        IWeightSource converted = request.KeyValueHeads is { } heads ? new PooledWeights(weights, from, heads, request.Pool, request.Seed) : weights;
        CheckpointDirectory.Write(output,
        [
            new(CheckpointFiles.Model, path => Safetensors.Write(path, Pending(converted))),
            new(CheckpointFiles.Configuration, path => File.WriteAllText(path, ConfigurationJson.Serialize(recipe) + "\n")),
            new(CheckpointFiles.Tokenizer, checkpoint.Tokenizer.Save),
            .. Companions(checkpoint.Directory),
        ]);
        return new(from, recipe.Model, ModelCost.Of(from, checkpoint.Tokenizer.VocabularySize), ModelCost.Of(recipe.Model, checkpoint.Tokenizer.VocabularySize));
    }

    /// <summary>The recipe that trains the converted model further, as it was trained. Read back, so that its rules are asked once more.</summary>
    private static Recipe RecipeOf(Recipe recipe, ModelOptions model, string output)
    {
        recipe = recipe with { Model = model, Initialize = new() { From = output } };
        return ConfigurationJson.Deserialize<Recipe>(ConfigurationJson.Serialize(recipe), $"{output}: the converted recipe");
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
