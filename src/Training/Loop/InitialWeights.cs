using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Checkpoints.GroupedQuery;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>The model a run begins with.</summary>
internal static class InitialWeights
{
    /// <summary>Builds the model; its weights are drawn from the seed, or copied from <c>initialize.from</c>.</summary>
    /// <exception cref="UserException">The weights to copy do not fit, or belong to another tokenizer.</exception>
    public static LanguageModel Build(Recipe recipe, Tokenizer tokenizer, Device device, Action<string> tell)
    {
        manual_seed(recipe.Seed);
        LanguageModel model = recipe.Model.Build(tokenizer.VocabularySize, recipe.Training.Precision.ToComputeType()).to(device);
        try
        {
            if (recipe.Initialize is { } initialize) Copy(initialize, recipe, model, tokenizer, tell);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static void Copy(InitializeOptions initialize, Recipe recipe, LanguageModel model, Tokenizer tokenizer, Action<string> tell)
    {
        Checkpoint source = Checkpoint.Open(initialize.From);
        if (source.Tokenizer.ToJson().ToJsonString() != tokenizer.ToJson().ToJsonString())
            throw new UserException(
                $"initialize.from: {source.Directory} was trained with another tokenizer ({source.Tokenizer.Type}, {source.Tokenizer.VocabularySize} tokens; " +
                $"here {tokenizer.Type}, {tokenizer.VocabularySize} tokens), so its weights mean other tokens; use the same tokenizer and training text");
        RequirePositions(source, recipe.Model);
        using WeightFiles weights = WeightFiles.OpenFile(Path.Combine(source.Directory, CheckpointFiles.Model));
        ModelWeights.Load(model, Converted(weights, source, initialize.Convert, recipe.Seed, tell));
        tell($"first weights from {source.Directory}");
    }

    // The shapes would not fit either, but would not say why.
    private static void RequirePositions(Checkpoint source, ModelOptions model)
    {
        ModelOptions from = source.Model;
        if (from.Position is LearnedOptions && model.Position is LearnedOptions && from.ContextLength != model.ContextLength)
            throw new UserException(
                $"initialize.from: {source.Directory} has learned {from.ContextLength} positions, and model.contextLength is {model.ContextLength}; learned positions cannot be " +
                $"stretched: set contextLength to {from.ContextLength}, or begin with a model of rotary positions");
    }

    private static IWeightSource Converted(WeightFiles weights, Checkpoint source, ConvertOptions? convert, long seed, Action<string> tell)
    {
        if (convert is null) return weights;
        Problem[] problems = [.. GroupedQueryModel.Problems(source.Model, convert.KeyValueHeads, "initialize.convert.keyValueHeads")
            .Select(problem => problem with { Message = $"of {source.Directory}: {problem.Message}" })];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        PooledWeights pooled = new(weights, source.Model, convert.KeyValueHeads, convert.Pool, seed);
        tell(pooled.Pooled > 0
            ? $"key and value heads pooled to {convert.KeyValueHeads} ({convert.Pool.ToString().ToLowerInvariant()}) in {pooled.Pooled} tensors"
            : $"nothing to pool: {source.Directory} has {convert.KeyValueHeads} key-value heads already");
        return pooled;
    }
}
