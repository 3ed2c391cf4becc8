// Shapes: N positions, C model dimension, V vocabulary.
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Inference;
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
public sealed record DistillationOptions : IValidated
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

    /// <summary>Keeps the teacher's probabilities with the prepared data, so that it is needed once; null: it runs beside the student.
    /// </summary>
    [Description("Keeps the teacher's likeliest tokens of every target with the prepared data: it is run once, and neither loaded nor " +
        "run in later epochs, runs or students. null: it runs beside the student at every step.")]
    public TeacherCacheOptions? Cache { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Cache is not null && HiddenWeight > 0)
            yield return new("hiddenWeight", $"is {HiddenWeight}, and cache keeps the teacher's probabilities, not its hidden states, " +
                "which are far larger; set hiddenWeight to 0, or leave cache out");
    }

    /// <summary>Problems that show with the rest of the recipe.</summary>
    internal IEnumerable<Problem> ValidateFor(Recipe recipe)
    {
        if (Cache is null) yield break;
        const string path = "distillation.cache";
        if (recipe.Data.Objective == DataObjective.Masked)
            yield return new(path, "keeps what the teacher finds of rows that come again, and objective 'masked' hides other tokens in " +
                "every epoch; leave cache out");
        if (recipe.Data.PositionSkipping is not null)
            yield return new(path, "keeps what the teacher finds of rows that come again, and data.positionSkipping draws other " +
                "positions in every epoch; leave one of them out");
        if (recipe.Data.ShiftWindows == true)
            yield return new("data.shiftWindows", "is true, and distillation.cache keeps what the teacher finds of rows that come again; " +
                "leave shiftWindows out, or cache");
        for (int i = 0; i < recipe.Training.Stages?.Count; i++)
            if (recipe.Training.Stages[i].SequenceLength is { } length)
                yield return new($"training.stages.{i}.sequenceLength", $"cuts rows into pieces of {length} tokens, and " +
                    "distillation.cache keeps what the teacher finds of whole rows; remove it, or leave cache out");
    }
}

/// <summary>The section <c>distillation.cache</c>.</summary>
public sealed record TeacherCacheOptions
{
    /// <summary>K, the tokens that are kept of every target, at most the vocabulary; all others count as one.</summary>
    [Description("How many of the teacher's likeliest tokens are kept of every target, each in 4 bytes (6 beyond 65,536 tokens); all " +
        "others are one further class.")]
    [Range(1, 1 << 20)]
    public int TopK { get; init; } = 64;
}

/// <summary>The loss of a student: (1 − weight) · cross entropy + weight · T² · divergence + hidden weight · (1 − cosine of hidden states),
/// summed over the same targets.</summary>
/// <remarks>T² keeps the size of gradients as T changes (Hinton et al. 2015, arXiv 1503.02531, section 2). Several threads may compute losses
/// at once.</remarks>
internal abstract class DistillationLoss(DistillationOptions options, double labelSmoothing) : LossFunction
{
    /// <summary>The student's losses, with the reported one mixed.</summary>
    public sealed override LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets)
    {
        LanguageModel student = (LanguageModel)model;
        using DisposeScope scope = NewDisposeScope();
        // First, as what it computes on the way is freed before the student keeps anything.
        Tensor taught = Teach(batch, input);
        int[] counted = TargetPlaces.Of(batch, student.PrefixLength);
        Tensor? places = counted.Length == batch.Targets.Length ? null : TargetPlaces.ToTensor(counted, targets.device);
        LossTerms terms = student.Losses(
            input, targets, labelSmoothing, (hidden, aims) => Taught(student, hidden, taught, new(aims, places)));
        Tensor mixed = terms.CrossEntropy.mul(1 - options.Weight).add(terms.Further!);
        return new(mixed.MoveToOuterDisposeScope(), terms.Auxiliary?.MoveToOuterDisposeScope());
    }

    /// <summary>The divergence of distributions, summed over rows: logits (N, V) of both, divided by the temperature.</summary>
    public static Tensor Divergence(Tensor student, Tensor teacher, DistillationOptions options)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor s = nn.functional.log_softmax(student.div(options.Temperature), -1);
        Tensor t = nn.functional.log_softmax(teacher.div(options.Temperature), -1);
        return Divergence(s, t, options.Divergence).MoveToOuterDisposeScope();
    }

    /// <summary>As the other, of logarithms of probabilities.</summary>
    public static Tensor Divergence(Tensor student, Tensor teacher, DivergenceDirection direction)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor from, Tensor to) = direction == DivergenceDirection.Forward ? (teacher, student) : (student, teacher);
        return from.exp().mul(from.sub(to)).sum().MoveToOuterDisposeScope();
    }

    /// <summary>What the teacher says of rows, without gradients: of each position, or of each target.</summary>
    protected abstract Tensor Teach(Batch batch, ModelInput input);

    /// <summary>What is added to the cross entropy, given the student's hidden states before the head, (B·T, C), its targets, and what
    /// <see cref="Teach"/> gave.</summary>
    protected abstract Tensor Taught(LanguageModel student, Tensor hidden, Tensor taught, Aims targets);

    /// <summary>weight · T² · divergence, summed over targets, given the student's hidden states at these, (N, C), and of as many rows what
    /// the teacher says. <paramref name="divergence"/> gets logits of some and their rows.</summary>
    protected Tensor DivergenceSum(LanguageModel student, Tensor hidden, Tensor taught, Func<Tensor, Tensor, Tensor> divergence)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor sum = zeros([], ScalarType.Float32, hidden.device);
        foreach (Tensor part in ChunkedLogits.Map(student, hidden, [taught], (logits, own) => divergence(logits, own[0])))
            sum = sum.add(part);
        return sum.mul(options.Weight * options.Temperature * options.Temperature).MoveToOuterDisposeScope();
    }

    /// <summary>The targets of all positions, (B·T), and the places of those that count, (N), int64; null where all do.</summary>
    protected readonly record struct Aims(Tensor All, Tensor? Places)
    {
        /// <summary>Rows of positions that have a target that counts: (B·T, …) → (N, …).</summary>
        public Tensor Rows(Tensor all) => Places is null ? all : all.index_select(0, Places);
    }
}

/// <summary>The loss of a student whose teacher runs beside it.</summary>
internal sealed class TeacherLoss(LanguageModel teacher, DistillationOptions options, double labelSmoothing = 0)
    : DistillationLoss(options, labelSmoothing)
{
    private readonly DistillationOptions options = options;

    // Hidden states of every position, (N, C); what observes and drops is the student's.
    protected override Tensor Teach(Batch batch, ModelInput input)
    {
        using IDisposable quiet = no_grad();
        return teacher.Hidden(input with { Dropping = null, Differentiated = null, Observer = null, Repeats = false })
            .reshape(-1, teacher.Options.Dim);
    }

    protected override Tensor Taught(LanguageModel student, Tensor hidden, Tensor taught, Aims targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor sum = DivergenceSum(student, targets.Rows(hidden), targets.Rows(taught), Divergence);
        if (options.HiddenWeight > 0) sum = sum.add(AngleSum(hidden, taught, targets.All).mul(options.HiddenWeight));
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

    private Tensor Divergence(Tensor logits, Tensor taught)
    {
        Tensor aims;
        using (no_grad()) aims = teacher.LogitsOf(taught);
        // One may have rows of its table beyond the tokenizer's tokens.
        long common = Math.Min(logits.size(1), aims.size(1));
        return Divergence(logits.narrow(1, 0, common), aims.narrow(1, 0, common), options);
    }
}

/// <summary>The loss of a student whose teacher has said before what it finds of every target.</summary>
internal sealed class CachedTeacherLoss(TeacherCache cache, DistillationOptions options, double labelSmoothing = 0)
    : DistillationLoss(options, labelSmoothing)
{
    private readonly DistillationOptions options = options;

    // Of every target.
    protected override Tensor Teach(Batch batch, ModelInput input) => cache.Read(batch, input.Tokens.device);

    protected override Tensor Taught(LanguageModel student, Tensor hidden, Tensor taught, Aims targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor own = targets.Rows(hidden);
        if (own.size(0) != taught.size(0))
            throw new InvalidOperationException($"{taught.size(0)} targets were looked up, and the model has {own.size(0)}.");
        return DivergenceSum(student, own, taught, Divergence).MoveToOuterDisposeScope();
    }

    private Tensor Divergence(Tensor logits, Tensor taught) =>
        cache.Unpack(taught).Divergence(logits.narrow(1, 0, cache.VocabularySize), options);

    public override void Dispose() => cache.Dispose();
}
