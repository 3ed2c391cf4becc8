using System.Diagnostics;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Scheduled;

/// <summary>Runs the evaluators of a training run when they are due, and leaves everything else as it was.</summary>
public sealed class EvaluatorSchedule
{
    private readonly EvaluationSubject subject;
    private readonly IReadOnlyList<(ScheduledEvaluatorOptions Options, ScheduledEvaluator Evaluator)> evaluators;

    /// <summary>Builds the evaluators of <c>evaluation.measures</c>.</summary>
    /// <exception cref="ConfigurationException">Some cannot run; the message lists every reason.</exception>
    public EvaluatorSchedule(IReadOnlyList<ScheduledEvaluatorOptions> options, EvaluationSubject subject)
    {
        this.subject = subject;
        evaluators = [.. options.Select(entry => (entry, entry.Build(subject)))];
        Problem[] problems = [.. evaluators.SelectMany((entry, index) =>
            entry.Evaluator.Problems().Select(problem => problem with { Path = $"evaluation.measures.{index}.{problem.Path}" }))];
        if (problems.Length > 0) throw new ConfigurationException(problems);
    }

    /// <summary>Runs the evaluators due after a step: with every validation loss if without an interval, and after the last.</summary>
    /// <param name="step">The step.</param>
    /// <param name="evaluating">Whether the validation loss is due.</param>
    /// <param name="last">Whether the run ends with it.</param>
    /// <param name="sink">Gets what they find.</param>
    public void RunDue(long step, bool evaluating, bool last, IMetricsSink sink)
    {
        foreach ((ScheduledEvaluatorOptions options, ScheduledEvaluator evaluator) in evaluators)
            if (IsDue(options, step, evaluating, last)) Run(options.Title, evaluator, step, sink);
    }

    /// <summary>Whether <see cref="RunDue"/> would run any.</summary>
    public bool AreDue(long step, bool evaluating, bool last) =>
        evaluators.Any(entry => IsDue(entry.Options, step, evaluating, last));

    private static bool IsDue(ScheduledEvaluatorOptions options, long step, bool evaluating, bool last) =>
        last || (options.Every is { } every ? every > 0 && step % every == 0 : evaluating);

    private void Run(string name, ScheduledEvaluator evaluator, long step, IMetricsSink sink)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            EvaluatorResult result = Undisturbed(evaluator);
            sink.Evaluated(new EvaluatorMetrics
            {
                Step = step,
                Name = name,
                Figures = result.Figures,
                Lines = result.Lines,
                Texts = result.Texts,
                Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
            });
        }
        catch (LogitsException error)
        {
            // The loop decides when a diverging run ends; a curve then has a gap, as that of the validation loss has.
            sink.Message($"evaluation {name} at step {step}: {error.Message}");
        }
    }

    // Evaluation must not disturb training: a run with evaluators is the run without, bit for bit.
    private EvaluatorResult Undisturbed(ScheduledEvaluator evaluator)
    {
        RandomStates random = RandomStates.Capture(subject.Device);
        bool training = subject.Model.training;
        try
        {
            return evaluator.Evaluate();
        }
        finally
        {
            subject.Model.train(training);
            random.Restore(subject.Device);
        }
    }
}
