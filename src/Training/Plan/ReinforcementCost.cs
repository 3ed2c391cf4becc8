using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Training.Losses;
using Trainer.Training.Reinforcement;

namespace Trainer.Training.Plan;

/// <summary>What answers and rewards add to a run: parameters and bytes of the reference's weights (0 without one), bytes at most of the
/// decoder that writes answers (a copy of the weights, and keys and values of as many answers as go on side by side), which are gone when
/// the step is computed, and bytes of logits that are held then.</summary>
public sealed record ReinforcementCost(long ReferenceParameters, long ReferenceBytes, long DecoderBytes, long LogitBytes)
{
    // Logits, their logarithms of probabilities, what is made of these, and gradients.
    private const int CopiesOfLogits = 6, BFloat16Bytes = 2;

    /// <summary>Rows of answers that are trained on for each prompt that is read.</summary>
    public required int RowsPerPrompt { get; init; }

    /// <summary>Operations for a token that is trained on, besides those of training: writing it, and passes of the reference and of the
    /// model as it was, shared by the updates.</summary>
    public required double FlopsPerToken { get; init; }

    /// <summary>Counts it; null where the recipe has no reinforcement.</summary>
    internal static ReinforcementCost? Of(Recipe recipe, Tokenizer tokenizer, TrainingShape shape, bool onGpu, long rowTokens, int row)
    {
        if (recipe.Reinforcement is not { } options) return null;
        ModelCost cost = ModelCost.Of(recipe.Model, tokenizer.VocabularySize);
        long reference = 0, referenceBytes = 0;
        if (options.HasReference)
        {
            Checkpoint checkpoint = Checkpoint.OpenFor("initialize.from", recipe.Initialize!.From);
            reference = ModelCost.Of(checkpoint.Model, tokenizer.VocabularySize).Parameters;
            referenceBytes = reference * (FrozenModel.PrecisionOf(recipe) == InferencePrecision.BFloat16 ? BFloat16Bytes : sizeof(float));
        }
        long parallel = Math.Min(recipe.Training.BatchSize, CompletionSampler.MostParallel(onGpu ? DeviceType.CUDA : DeviceType.CPU));
        long logits = CrossEntropy.RowsOfLogits(rowTokens, tokenizer.VocabularySize) * tokenizer.VocabularySize * CopiesOfLogits;
        int passes = 1 + (options.HasReference ? 1 : 0) + (options.Updates > 1 ? 1 : 0);
        return new(
            reference, referenceBytes, sizeof(float) * cost.Parameters + parallel * cost.CacheBytes(recipe.Model.ContextLength),
            sizeof(float) * shape.Threads * logits)
        {
            RowsPerPrompt = options.Group * options.Updates,
            FlopsPerToken = passes * cost.ForwardFlopsPerToken(row) / options.Updates,
        };
    }

    /// <summary>Rows of pairs as they are with the longest answers.</summary>
    internal static Batch WithLongestAnswers(Batch pairs, Recipe recipe, Tokenizer tokenizer)
    {
        if (recipe.Reinforcement is not { } options) return pairs;
        int end = AnswerGrader.Of(options, tokenizer, recipe.Data).End;
        return SampledRow.Collate([.. PromptedAnswer.Of(pairs, end).Select(row => new SampledRow(
            row.Prompt, new int[Math.Min(options.MaximumTokens, recipe.Model.ContextLength + 1 - row.Prompt.Length)], 0, 0, false))]);
    }
}
