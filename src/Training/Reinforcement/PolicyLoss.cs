// Shapes: N tokens of answers, C model dimension, V vocabulary.
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Distributed;
using Trainer.Inference;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Devices;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Reinforcement;

/// <summary>The clipped loss of a policy on its samples, −min(ratio · A, clip(ratio) · A) + β · KL for each token (PPO, Schulman et al. 2017,
/// arXiv 1707.06347; with the advantages and the divergence of GRPO).</summary>
/// <param name="options">How.</param>
/// <param name="grader">Judges answers to validation prompts.</param>
/// <param name="tokens">Ids from here on are rows of padding, which are never drawn.</param>
internal sealed class PolicyLoss(GrpoOptions options, AnswerGrader grader, int tokens) : LossFunction
{
    private static readonly string[] Names = ["reward", "right", "length", "entropy", "clipped", "kl"];

    private (double Rows, double Tokens) totals; // of the step

    public override IReadOnlyList<string> FigureNames => options.HasReference ? Names : Names[..^1];

    public override IReadOnlyList<string> ValidationFigureNames => AnswerGrader.FigureNames;

    /// <summary>Validation is by what the model answers.</summary>
    public override bool IsLikelihood => false;

    public override long Count(Batch batch) => options.Average switch
    {
        PolicyAverage.Sequences => batch.Rows,
        PolicyAverage.Constant => (long)batch.Rows * options.MaximumTokens,
        _ => batch.TargetTokens,
    };

    public override void Begin(SequenceModel model, StepBatch step) =>
        totals = (step.MicroBatches.Sum(batch => batch.Rows), step.TargetTokens);

    public override LossTerms Losses(SequenceModel model, Batch batch, ModelInput input, Tensor targets)
    {
        LanguageModel policy = (LanguageModel)model;
        LossTerms terms = policy.Losses(input, targets, (hidden, aims) =>
        {
            using DisposeScope scope = NewDisposeScope();
            (Tensor loss, Tensor figures) = Loss(batch, TokenTerms(policy, batch, hidden, aims));
            return new(loss.MoveToOuterDisposeScope(), null) { Figures = figures.MoveToOuterDisposeScope() };
        });
        // What layers add counts once for each target.
        return terms with { Auxiliary = terms.Auxiliary?.mul((double)Count(batch) / batch.TargetTokens) };
    }

    /// <summary>Greedy answers to validation prompts: the loss is 1 − the mean reward.</summary>
    public override LossMeans Validate(SequenceModel model, IReadOnlyList<Batch> batches, Device device, IProcessGroup processes) =>
        grader.Validate((LanguageModel)model, batches, device, processes);

    /// <summary>log p of each target at the temperature, (rows × columns) as <see cref="SampleRows"/> has them, without gradients and
    /// dropout.</summary>
    public float[] LogProbabilities(LanguageModel model, Batch batch, Device device)
    {
        float[] all = new float[batch.Targets.Length];
        if (batch.TargetTokens == 0) return all;
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable quiet = no_grad();
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device);
        Tensor hidden = model.Hidden(input).reshape(-1, model.Options.Dim);
        float[] known = TokenTerms(model, batch, hidden, targets.reshape(-1)).select(0, 0).cpu().contiguous().Span<float>().ToArray();
        foreach ((int i, int place) in TargetPlaces.Of(batch).Index()) all[place] = known[i];
        return all;
    }

    /// <summary>The losses of tokens, (N), given the logarithms of their probabilities, (N), now, when they were drawn and by the reference
    /// (null for none), and their advantages; then which were clipped, and divergences (null without a reference).</summary>
    /// <remarks>The divergence is estimated by exp(d) − d − 1 with d = log p_reference − log p, which is unbiased and never negative (k3 in
    /// Schulman 2020, http://joschu.net/blog/kl-approx.html).</remarks>
    public static (Tensor Losses, Tensor Clipped, Tensor? Divergences) TokenLosses(
        Tensor now, Tensor old, Tensor? reference, Tensor advantages, GrpoOptions options)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor ratio = now.sub(old).exp();
        Tensor free = ratio.mul(advantages), bounded = ratio.clamp(1 - options.Clip, 1 + options.Higher).mul(advantages);
        Tensor losses = minimum(free, bounded).neg();
        Tensor clipped = bounded.lt(free).to(ScalarType.Float32).detach();
        Tensor? divergences = null;
        if (reference is not null)
        {
            Tensor difference = reference.sub(now);
            divergences = difference.exp().sub(difference).sub(1);
            losses = losses.add(divergences.mul(options.KlWeight));
            divergences = divergences.detach().MoveToOuterDisposeScope();
        }
        return (losses.MoveToOuterDisposeScope(), clipped.MoveToOuterDisposeScope(), divergences);
    }

    /// <summary>The sum over rows, and sums of the figures, scaled so that their means come out when the step's count divides them.
    /// <paramref name="terms"/> are those of <see cref="Terms"/> at all targets.</summary>
    internal (Tensor Loss, Tensor Figures) Loss(Batch batch, Tensor terms)
    {
        using DisposeScope scope = NewDisposeScope();
        SampleRows samples = batch.Samples ?? throw new InvalidOperationException("A policy's loss is of rows that were sampled.");
        int[] places = TargetPlaces.Of(batch);
        Tensor Of(Func<int, float> value) => tensor([.. places.Select(value)], [places.Length]).ToDevice(terms.device); // (N)
        Tensor now = terms.select(0, 0);
        Tensor old = samples.OldLogProbabilities is { } then ? Of(place => then[place]) : now.detach();
        Tensor? reference = samples.ReferenceLogProbabilities is { } other ? Of(place => other[place]) : null;
        (Tensor losses, Tensor clipped, Tensor? divergences) = TokenLosses(
            now, old, reference, Of(place => samples.Advantages[place / batch.Columns]), options);
        if (options.Average == PolicyAverage.Sequences)
        {
            Dictionary<int, int> lengths = places.CountBy(place => place / batch.Columns).ToDictionary();
            losses = losses.mul(Of(place => 1f / lengths[place / batch.Columns]));
        }
        double all = options.Average switch
        {
            PolicyAverage.Sequences => totals.Rows,
            PolicyAverage.Constant => totals.Rows * options.MaximumTokens,
            _ => totals.Tokens,
        };
        float[] perRow = [samples.Rewards.Sum(), samples.Right.Count(right => right), places.Length];
        Tensor[] perToken = [terms.select(0, 1).sum(), clipped.sum(), .. divergences is null ? [] : new[] { divergences.sum() }];
        Tensor figures = cat([
            tensor(perRow).ToDevice(terms.device).mul(all / totals.Rows), stack(perToken).to(ScalarType.Float32).mul(all / totals.Tokens)]);
        return (losses.sum().MoveToOuterDisposeScope(), figures.detach().MoveToOuterDisposeScope());
    }

    /// <summary>(2, N): log p of each target at a temperature, and the entropy at its place, without gradients. Logits (N, V).</summary>
    internal static Tensor Terms(Tensor logits, Tensor targets, double temperature)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor logs = nn.functional.log_softmax(logits.div(temperature), -1), fixedLogs = logs.detach();
        Tensor chosen = logs.gather(1, targets.unsqueeze(1)).squeeze(1), entropy = fixedLogs.exp().mul(fixedLogs).sum(1).neg();
        return stack([chosen, entropy]).MoveToOuterDisposeScope();
    }

    private Tensor TokenTerms(LanguageModel model, Batch batch, Tensor hidden, Tensor targets)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor places = TargetPlaces.ToTensor(TargetPlaces.Of(batch), hidden.device);
        (hidden, targets) = (hidden.index_select(0, places), targets.index_select(0, places)); // (B·T, C) → (N, C)
        return cat([.. ChunkedLogits.Map(model, hidden, [targets], (logits, own) => Terms(
            tokens < logits.size(1) ? logits.narrow(1, 0, tokens) : logits, own[0], options.Temperature))], 1).MoveToOuterDisposeScope();
    }
}
