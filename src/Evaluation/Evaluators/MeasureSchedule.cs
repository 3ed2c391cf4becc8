using System.Diagnostics;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;

namespace Trainer.Evaluation.Evaluators;

/// <summary>Takes the measures of a run when they are due, and leaves everything else as it was.</summary>
public sealed class MeasureSchedule
{
    private readonly MeasureSubject subject;
    private readonly IMetricsSink sink;
    private readonly IReadOnlyList<(MeasureOptions Options, Measure Measure)> measures;

    /// <summary>Makes the measures that the recipe asks for.</summary>
    /// <param name="options">The entries of <c>evaluation.measures</c>.</param>
    /// <param name="subject">What is measured.</param>
    /// <param name="sink">Told what they find.</param>
    /// <exception cref="ConfigurationException">Some cannot be taken; all reasons are told.</exception>
    public MeasureSchedule(IReadOnlyList<MeasureOptions> options, MeasureSubject subject, IMetricsSink sink)
    {
        (this.subject, this.sink) = (subject, sink);
        measures = [.. options.Select(entry => (entry, entry.Build(subject)))];
        Problem[] problems = [.. measures.SelectMany((entry, index) =>
            entry.Measure.Problems().Select(problem => problem with { Path = $"evaluation.measures.{index}.{problem.Path}" }))];
        if (problems.Length > 0) throw new ConfigurationException(problems);
    }

    /// <summary>Takes those that are due.</summary>
    /// <param name="step">Optimizer steps done.</param>
    /// <param name="evaluating">Whether the model is evaluated after this step.</param>
    /// <param name="last">Whether it is the last step.</param>
    public void Take(long step, bool evaluating, bool last)
    {
        foreach ((MeasureOptions options, Measure measure) in measures)
            if (last || (options.Every is { } every ? every > 0 && step % every == 0 : evaluating)) Take(options.Title, measure, step);
    }

    private void Take(string name, Measure measure, long step)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            MeasureOutcome outcome = Undisturbed(measure);
            sink.Measured(new MeasureMetrics
            {
                Step = step,
                Name = name,
                Figures = outcome.Figures,
                Lines = outcome.Lines,
                Texts = outcome.Texts,
                Seconds = Stopwatch.GetElapsedTime(start).TotalSeconds,
            });
        }
        catch (LogitsException error)
        {
            // The loop decides when a diverging run ends; a curve then has a gap, as that of the validation loss has.
            sink.Message($"evaluation {name} at step {step}: {error.Message}");
        }
    }

    // Training must not know that it was watched: a run with measures is the run without, bit for bit.
    private MeasureOutcome Undisturbed(Measure measure)
    {
        RandomStates random = RandomStates.Capture(subject.Device);
        bool training = subject.Model.training;
        try
        {
            return measure.Take();
        }
        finally
        {
            subject.Model.train(training);
            random.Restore(subject.Device);
        }
    }
}
