using Trainer.Checkpoints;
using Trainer.Data.Tokenizers;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Training.Losses;

namespace Trainer.Training.Plan;

/// <summary>What a teacher adds to a run: parameters, bytes of its weights, bytes that stay until a micro-batch is over (hidden states of
/// both models, and the logits that are compared at once), and bytes of its own pass, before that of the student begins.</summary>
public sealed record TeacherCost(long Parameters, long WeightBytes, long HeldBytes, long PassBytes)
{
    // Logits of both models, their logarithms of probabilities, what is made of these, and gradients.
    private const int CopiesOfLogits = 9, BFloat16Bytes = 2;

    /// <summary>Operations of one of its tokens, forward.</summary>
    public required double FlopsPerToken { get; init; }

    /// <summary>Counts it, given the tokens of one thread's rows; null where the recipe has none.</summary>
    internal static TeacherCost? Of(Recipe recipe, Tokenizer tokenizer, TrainingShape shape, long rowTokens, int row)
    {
        if (recipe.Distillation is not { } options) return null;
        Checkpoint checkpoint = Teacher.Find(options, recipe, tokenizer);
        (ModelOptions teacher, int vocabulary) = (checkpoint.Model, tokenizer.VocabularySize);
        ModelCost cost = ModelCost.Of(teacher, vocabulary);
        long weights = sizeof(float) * cost.Parameters;
        if (FrozenModel.PrecisionOf(recipe) == InferencePrecision.BFloat16)
            weights -= (sizeof(float) - BFloat16Bytes) * Without(cost, "embedding", "position");
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

    private static long Without(ModelCost cost, params string[] components) =>
        cost.Components.Where(part => !components.Contains(part.Name)).Sum(part => part.Parameters);
}
