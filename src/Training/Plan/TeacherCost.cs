using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Training.Losses;

namespace Trainer.Training.Plan;

/// <summary>What a teacher adds to a run: parameters, bytes of its weights, bytes that stay until a micro-batch is over (hidden states of
/// both models, and the logits that are compared at once), and bytes of its own pass, before that of the student begins. Where its
/// probabilities are kept, it has no weights and no pass while the run trains.</summary>
public sealed record TeacherCost(long Parameters, long WeightBytes, long HeldBytes, long PassBytes)
{
    // Logits of both models, their logarithms of probabilities, what is made of these, and gradients; of the student alone, logits, those
    // without the kept tokens, and gradients.
    private const int CopiesOfLogits = 9, CopiesOfOwnLogits = 6, BFloat16Bytes = 2;

    /// <summary>Operations of one of its tokens while training, forward.</summary>
    public required double FlopsPerToken { get; init; }

    /// <summary>What is kept of it on disk; null where it runs beside the student.</summary>
    public TeacherCacheCost? Cache { get; init; }

    /// <summary>Counts it, given the tokens of one thread's rows; null where the recipe has none.</summary>
    internal static TeacherCost? Of(Recipe recipe, PreparedData data, TrainingShape shape, long rowTokens, int row)
    {
        if (recipe.Distillation is not { } options) return null;
        Checkpoint checkpoint = Teacher.Find(options, recipe, data.Tokenizer);
        (ModelOptions teacher, int vocabulary) = (checkpoint.Model, data.Tokenizer.VocabularySize);
        ModelCost cost = ModelCost.Of(teacher, vocabulary);
        if (options.Cache is { TopK: var kept }) return Cached(recipe, data, shape, cost, rowTokens, row, kept);
        long weights = BytesOf(cost, recipe);
        long logits = CrossEntropy.RowsOfLogits(rowTokens, vocabulary) * vocabulary * CopiesOfLogits;
        long gradient = (long)vocabulary * recipe.Model.Dim; // of the head, until it is added to that of the cross entropy
        // As many numbers a token as the layers of a block give.
        long pass = rowTokens * (2 * teacher.Dim + Without(cost, "embedding", "position", "head") / teacher.Layers / teacher.Dim);
        return new(
            cost.Parameters, weights,
            sizeof(float) * shape.Threads * (rowTokens * (teacher.Dim + 2L * recipe.Model.Dim) + logits + gradient),
            sizeof(float) * shape.Threads * pass)
        {
            FlopsPerToken = cost.ForwardFlopsPerToken(row),
        };
    }

    /// <summary>Bytes of the weights of a model that stays as it is.</summary>
    internal static long BytesOf(ModelCost cost, Recipe recipe) => sizeof(float) * cost.Parameters
        - (FrozenModel.PrecisionOf(recipe) == InferencePrecision.BFloat16
            ? (sizeof(float) - BFloat16Bytes) * Without(cost, "embedding", "position")
            : 0);

    private static TeacherCost Cached(
        Recipe recipe, PreparedData data, TrainingShape shape, ModelCost teacher, long rowTokens, int row, int kept)
    {
        int vocabulary = data.Tokenizer.VocabularySize;
        long logits = CrossEntropy.RowsOfLogits(rowTokens, vocabulary) * (CopiesOfOwnLogits * (long)vocabulary + CopiesOfLogits * kept);
        long numbers = rowTokens * 2L * recipe.Model.Dim + logits + (long)vocabulary * recipe.Model.Dim;
        int bytes = TopTokens.BytesPerTarget(kept, vocabulary);
        (long rows, long targets) = (0, 0);
        foreach (Func<Batch> read in BatchStream.Epoch(data, recipe.Data, recipe.Model.ContextLength, 64, recipe.Model.PrefixLength()))
            if (read() is var batch) (rows, targets) = (rows + batch.Rows, targets + batch.TargetTokens);
        return new(teacher.Parameters, 0, shape.Threads * (sizeof(float) * numbers + rowTokens * bytes), 0)
        {
            FlopsPerToken = 0,
            Cache = new(targets, targets * bytes, rows * row * teacher.ForwardFlopsPerToken(row)),
        };
    }

    private static long Without(ModelCost cost, params string[] components) =>
        cost.Components.Where(part => !components.Contains(part.Name)).Sum(part => part.Parameters);
}

/// <summary>What a teacher's kept probabilities take: targets, bytes on disk, and at most so many operations, once.</summary>
public sealed record TeacherCacheCost(long Targets, long Bytes, double Flops);
