using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Checkpoints.Adapters;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Where the first weights come from.</summary>
public sealed record InitializeOptions
{
    /// <summary>A checkpoint, or a run directory (its best, else its newest); only weights are taken, which must match by name and shape,
    /// and the tokenizer must be the same.</summary>
    [Description("A checkpoint or run directory whose weights to start from; its tokenizer and weight shapes must match.")]
    public required string From { get; init; }

    /// <summary>How its weights are changed before training; null for not at all.</summary>
    [Description("How those weights are changed before training.")]
    public ConvertOptions? Convert { get; init; }
}

/// <summary>The section <c>initialize.convert</c>: the trained model is <c>model</c> with this many key-value heads, so uptraining (Ainslie
/// et al. 2023) takes the original's recipe, fewer steps, and this section. Random heads are drawn from the recipe's seed.</summary>
public sealed record ConvertOptions
{
    /// <summary>Key-value heads of the trained model; a divisor of those of the weights.</summary>
    [Description("Key-value heads of the model that is trained; they divide those of the weights it begins with.")]
    [Range(1, 4096)]
    public required int KeyValueHeads { get; init; }

    /// <summary>How heads are pooled into one.</summary>
    [Description("What becomes of the key and value heads that are to be one: mean, first, or random for a new one.")]
    public HeadPool Pool { get; init; } = HeadPool.Mean;
}

internal static class InitialWeights
{
    /// <summary>The model with its first weights and its adapters.</summary>
    public static LanguageModel Build(Recipe recipe, Tokenizer tokenizer, Device device, Action<string> log) =>
        (LanguageModel)Build(recipe, tokenizer, device, from: null, log).Model;

    /// <summary>The model to restore a checkpoint into, or to begin with, and what its adapters go on.</summary>
    public static (SequenceModel Model, AdapterBase? Base) Build(
        Recipe recipe, ModelCodec codec, Device device, ResumePoint? from, Action<string> log)
    {
        manual_seed(recipe.Seed);
        if (device.type == DeviceType.CUDA) cuda.manual_seed(recipe.Seed); // which the other does not reach: dropout draws there
        SequenceModel model = recipe.Model.BuildSequenceModel(codec.Outputs, recipe.Training.Precision.ToComputeType()).to(device);
        try
        {
            if (recipe.Adapter is not { } adapter)
            {
                if (from is null && recipe.Initialize is { } initialize)
                    Copy(Checkpoint.OpenFor("initialize.from", initialize.From), recipe, model, codec, log);
                return (model, null);
            }
            // A checkpoint has the adapters alone.
            Checkpoint source = from is null
                ? Checkpoint.OpenFor("initialize.from", recipe.Initialize!.From)
                : BaseOf(from, recipe);
            Copy(source, recipe, model, codec, log);
            model.Attach(adapter);
            model.Freeze();
            return (model, AdapterBase.Of(source));
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    // Where it was, or where the recipe says that it is now.
    private static Checkpoint BaseOf(ResumePoint from, Recipe recipe)
    {
        AdapterBase original = AdapterBase.Load(from.Directory);
        if (!Directory.Exists(original.Base) && recipe.Initialize is { } moved) original = original with { Base = moved.From };
        return original.Open(from.Directory);
    }

    private static void Copy(Checkpoint source, Recipe recipe, SequenceModel model, ModelCodec codec, Action<string> log)
    {
        if (codec.Preprocessor is not null || source.Codec.Preprocessor is not null) RequireSameReading(source, codec);
        else if (source.Codec.Json != codec.Json)
            throw new UserException(
                $"initialize.from: {source.Directory} was trained with another tokenizer ({source.Tokenizer.Type}, " +
                $"{source.Tokenizer.VocabularySize} tokens; " +
                $"here {codec.Tokenizer.Type}, {codec.Tokenizer.VocabularySize} tokens), so its weights mean other tokens; use the same " +
                "tokenizer and training text");
        RequirePositions(source, recipe.Model);
        RequireDecoderStart("initialize.from", source, recipe.Data);
        using IOpenWeights weights = source.OpenWeights();
        ModelWeights.Load(model, Converted(weights, source, recipe.Initialize?.Convert, recipe.Seed, log));
        log($"first weights from {source.Directory}");
    }

    private static void RequireSameReading(Checkpoint source, ModelCodec codec)
    {
        if (source.Codec.Json == codec.Json) return;
        throw new UserException($"initialize.from: {source.Directory} reads its inputs in another way than this run (its " +
            $"{(source.Codec.Preprocessor is null ? CheckpointFiles.Tokenizer : CheckpointFiles.Preprocessor)} has other classes, " +
            "variables, means or deviations), so its weights mean other things; begin with the data that it was trained on");
    }

    // A recipe that names another token means it; one that names none has hardly thought of it.
    internal static void RequireDecoderStart(string setting, Checkpoint source, DataOptions data)
    {
        if (data.Objective != DataObjective.SequenceToSequence || data.DecoderStartToken is not null
            || source.Configuration.Data.DecoderStartToken is not { } token || source.SequenceTokens is not { } theirs)
            return;
        SequenceTokens ours = SequenceTokens.Of(source.Tokenizer, data);
        if (theirs.Begin == ours.Begin && theirs.Before.SequenceEqual(ours.Before)) return;
        throw new UserException(
            $"{setting}: the decoder of {source.Directory} begins with {token}, and that of this recipe would begin otherwise; " +
            $"set data.decoderStartToken to \"{token}\"");
    }

    // The shapes would not fit either, but would not say why.
    private static void RequirePositions(Checkpoint source, ModelOptions model)
    {
        ModelOptions from = source.Model;
        if (from.Position is LearnedOptions && model.Position is LearnedOptions && from.ContextLength != model.ContextLength)
            throw new UserException(
                $"initialize.from: {source.Directory} has learned {from.ContextLength} positions, and model.contextLength is " +
                $"{model.ContextLength}; learned positions cannot be " +
                $"stretched: set contextLength to {from.ContextLength}, or begin with a model of rotary positions");
    }

    private static IWeightSource Converted(IWeightSource weights, Checkpoint source, ConvertOptions? convert, long seed, Action<string> log)
    {
        if (convert is null) return weights;
        Problem[] problems = [.. GroupedQueryModel.Problems(source.Model, convert.KeyValueHeads, "initialize.convert.keyValueHeads")
            .Select(problem => problem with { Message = $"of {source.Directory}: {problem.Message}" })];
        if (problems.Length > 0) throw new ConfigurationException(problems);
        PooledWeights pooled = new(weights, source.Model, convert.KeyValueHeads, convert.Pool, seed);
        log(pooled.Pooled > 0
            ? $"key and value heads pooled to {convert.KeyValueHeads} ({convert.Pool.ToString().ToLowerInvariant()}) in " +
              $"{pooled.Pooled} tensors"
            : $"nothing to pool: {source.Directory} has {convert.KeyValueHeads} key-value heads already");
        return pooled;
    }
}
