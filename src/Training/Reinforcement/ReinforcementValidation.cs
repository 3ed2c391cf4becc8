using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Adapters;

namespace Trainer.Training.Reinforcement;

internal static class ReinforcementValidation
{
    /// <summary>Why a recipe's section <c>reinforcement</c> does not go with the rest of it.</summary>
    public static IEnumerable<Problem> Check(Recipe recipe) =>
        recipe.Reinforcement is { } options ? [.. OfRecipe(recipe, options), .. OfTraining(recipe.Training, options)] : [];

    private static IEnumerable<Problem> OfRecipe(Recipe recipe, ReinforcementOptions options)
    {
        (ModelOptions model, DataOptions data) = (recipe.Model, recipe.Data);
        if (recipe.Initialize is null)
            yield return new("reinforcement", "rewards a model that answers already, and initialize says of none; set initialize.from " +
                "to a checkpoint that was trained on such pairs");
        else if (recipe.Initialize.Convert is not null && options.HasReference)
            yield return new("reinforcement.klWeight", "keeps the model close to that of initialize.from, which initialize.convert " +
                "changes; write a converted checkpoint by convert --key-value-heads first, or set klWeight to 0");
        if (model is not DecoderOptions || data.Objective != DataObjective.Causal || data.Packing != DataPacking.Pairs)
            yield return new("reinforcement", "needs prompts, and answers to compare with, for a decoder; set model.architecture to " +
                "'decoder' and data.packing to 'pairs'");
        if (data.EndOfDocument == EndOfText.None)
            yield return new("data.endOfDocument", "'none' leaves no token that ends an answer, which reinforcement needs; remove it");
        if (model.PrefixLength() > 1)
            yield return new("reinforcement", "trains on tokens of answers, and attention pattern 'prefix' reads the first " +
                $"{model.PrefixLength()} together, whatever they are; use pattern 'causal'");
        if (options.MaximumTokens >= model.ContextLength)
            yield return new("reinforcement.maximumTokens", $"maximumTokens ({options.MaximumTokens}) leaves no room for a prompt in " +
                $"model.contextLength ({model.ContextLength}); set it to {model.ContextLength / 2} or less, or contextLength to more");
        if (model.Dropout > 0)
            yield return new("model.dropout", $"dropout ({model.Dropout}) makes another model of the one that wrote the answers; set " +
                "it to 0 for reinforcement, which changes no weights");
        if (recipe.Adapter is LoraOptions { Dropout: > 0 } adapter)
            yield return new("adapter.dropout", $"dropout ({adapter.Dropout}) makes another model of the one that wrote the answers; " +
                "set it to 0 for reinforcement");
        if (recipe.Preference is not null)
            yield return new("preference", "learns from answers that were chosen and rejected, and reinforcement from the model's own; " +
                "remove one of them");
        if (recipe.Distillation is not null)
            yield return new("distillation", "learns from texts, and reinforcement from the model's own; remove one of them");
    }

    private static IEnumerable<Problem> OfTraining(TrainingOptions training, ReinforcementOptions options)
    {
        if (training.BatchSize % options.Group != 0)
            yield return new("reinforcement.group", $"training.batchSize ({training.BatchSize}) must be a multiple of group " +
                $"({options.Group}), the answers to each prompt; set batchSize to " +
                $"{(training.BatchSize / options.Group + 1) * options.Group}");
        if (training.LabelSmoothing > 0)
            yield return new("training.labelSmoothing", "smooths the labels of texts, which reinforcement has none of; remove it");
        if (training.Stages is { Count: > 0 })
            yield return new("training.stages", "cuts and counts rows of texts, and reinforcement makes its own; remove it");
        if (training.Spikes is not null)
            yield return new("training.spikes", "compares the losses of steps, and those of reinforcement are about 0, whatever was " +
                "learned; remove it");
    }
}
