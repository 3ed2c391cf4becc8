// Shapes: N positions, C model dimension, V vocabulary.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Data.Batches;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Losses;

/// <summary>Which of two distributions is averaged over.</summary>
public enum DivergenceDirection
{
    /// <summary>KL(teacher ‖ student): the student covers all that the teacher holds likely (Hinton et al. 2015, arXiv 1503.02531).</summary>
    Forward,

    /// <summary>KL(student ‖ teacher): the student keeps to what the teacher holds likely (Gu et al. 2023, arXiv 2306.08543).</summary>
    Reverse,
}

/// <summary>Knowledge distillation: a model is trained towards the distributions of another one, which stays as it is.</summary>
public sealed record DistillationOptions
{
    /// <summary>A checkpoint, or a run directory (its best, else its newest), of the same architecture and tokenizer.</summary>
    [Description("A checkpoint or run directory of the model to learn from; architecture and tokenizer must be the same.")]
    public required string Teacher { get; init; }

    /// <summary>T, by which the logits of both models are divided before they are compared.</summary>
    [Description("Divides the logits of both models before they are compared: above 1, unlikely tokens count for more.")]
    [Range(0.0, 1e3, MinimumIsExclusive = true)]
    public double Temperature { get; init; } = 1;

    /// <summary>The share of the divergence in the loss; cross entropy has the rest.</summary>
    [Description("The share of the divergence from the teacher in the loss; the cross entropy of the text has the rest.")]
    [Range(0.0, 1.0, MinimumIsExclusive = true)]
    public double Weight { get; init; } = 0.5;

    /// <summary>The direction of the Kullback-Leibler divergence.</summary>
    [Description("forward: KL(teacher ‖ student), which covers all that the teacher finds likely; reverse: KL(student ‖ teacher), which " +
        "keeps to it.")]
    public DivergenceDirection Divergence { get; init; }

    /// <summary>The weight of the angle between both models' last hidden states, 1 − cos for each target (Sanh et al. 2019, "DistilBERT",
    /// arXiv 1910.01108), beside the rest; 0 for none.</summary>
    [Description("The weight, beside the rest of the loss, of 1 - cosine between both models' hidden states before the head, which must " +
        "be equally wide; 0: they are not compared.")]
    [Range(0.0, 1e3)]
    public double HiddenWeight { get; init; }
}

/// <summary>The loss of a student: (1 − weight) · cross entropy + weight · T² · divergence + hidden weight · (1 − cosine of hidden states),
/// summed over the same targets.</summary>
/// <remarks>T² keeps the size of gradients as T changes (Hinton et al. 2015, arXiv 1503.02531, section 2). Several threads may compute losses
/// at once.</remarks>
internal sealed class DistillationLoss(LanguageModel teacher, DistillationOptions options, double labelSmoothing = 0) : LossFunction
{
    /// <summary>The student's losses, with the reported one mixed.</summary>
    public override LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets)
    {
        LanguageModel student = (LanguageModel)model;
        using DisposeScope scope = NewDisposeScope();
        // First, as what it computes on the way is freed before the student keeps anything.
        Tensor taught = Hidden(input).reshape(-1, teacher.Options.Dim);
        LossTerms terms = student.Losses(
            input, targets, labelSmoothing, (hidden, aims) => Taught(student, hidden, taught, aims));
        Tensor mixed = terms.CrossEntropy.mul(1 - options.Weight).add(terms.Further!);
        return new(mixed.MoveToOuterDisposeScope(), terms.Auxiliary?.MoveToOuterDisposeScope());
    }

    /// <summary>The divergence of distributions, summed over rows: logits (N, V) of both, divided by the temperature.</summary>
    public static Tensor Divergence(Tensor student, Tensor teacher, DistillationOptions options)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor s = nn.functional.log_softmax(student.div(options.Temperature), -1);
        Tensor t = nn.functional.log_softmax(teacher.div(options.Temperature), -1);
        (Tensor from, Tensor to) = options.Divergence == DivergenceDirection.Forward ? (t, s) : (s, t);
        return from.exp().mul(from.sub(to)).sum().MoveToOuterDisposeScope();
    }

    // What observes and drops is the student's.
    private Tensor Hidden(ModelInput input)
    {
        using IDisposable quiet = no_grad();
        return teacher.Hidden(input with { Dropping = null, Differentiated = null, Observer = null, Repeats = false });
    }

    private Tensor Taught(LanguageModel student, Tensor hidden, Tensor taught, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor sum = DivergenceSum(student, hidden, taught, targets).mul(options.Weight * options.Temperature * options.Temperature);
        if (options.HiddenWeight > 0) sum = sum.add(AngleSum(hidden, taught, targets).mul(options.HiddenWeight));
        return sum.MoveToOuterDisposeScope();
    }

    /// <summary>1 − cosine of hidden states (N, C), summed over the targets that count, (N).</summary>
    public static Tensor AngleSum(Tensor student, Tensor teacher, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor counts = targets.ne(Batch.Ignored).to_type(ScalarType.Float32); // (N)
        Tensor angles = nn.functional.cosine_similarity(student.to_type(ScalarType.Float32), teacher.to_type(ScalarType.Float32), dim: -1);
        return angles.neg().add(1).mul(counts).sum().MoveToOuterDisposeScope();
    }

    // Few rows of logits are held at a time: the backward pass computes them again.
    private Tensor DivergenceSum(LanguageModel student, Tensor hidden, Tensor taught, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor places = targets.ne(Batch.Ignored).nonzero().reshape(-1);
        long count = places.size(0), step = CrossEntropy.RowsOfLogits(count, student.VocabularySize);
        if (count < targets.size(0)) (hidden, taught) = (hidden.index_select(0, places), taught.index_select(0, places));
        IReadOnlyList<Parameter> head = student.HeadParameters;
        Tensor sum = zeros([], ScalarType.Float32, hidden.device);
        for (long first = 0; first < count; first += step)
        {
            long rows = Math.Min(step, count - first);
            Tensor own = taught.narrow(0, first, rows).DetachFromDisposeScope();
            sum = sum.add(ActivationCheckpoint.Run(
                some => [Part(student, some, own)], hidden.narrow(0, first, rows), () => head, own.Dispose)[0]);
        }
        return sum.MoveToOuterDisposeScope();
    }

    private Tensor Part(LanguageModel student, Tensor hidden, Tensor taught)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = student.LogitsOf(hidden), aims;
        using (no_grad()) aims = teacher.LogitsOf(taught);
        // One may have rows of its table beyond the tokenizer's tokens.
        long common = Math.Min(logits.size(1), aims.size(1));
        return Divergence(logits.narrow(1, 0, common), aims.narrow(1, 0, common), options).MoveToOuterDisposeScope();
    }
}
