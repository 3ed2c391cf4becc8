using System.Text.Json;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Runs;

/// <summary>A training step in metrics.jsonl; seconds count steps and evaluations since the run began. Missing figures are null.</summary>
public sealed record StepRecord(
    long Step, long Tokens, double? Seconds, double? Loss, double? LearningRate, double? GradientNorm, double? TokensPerSecond);

/// <summary>An evaluation in metrics.jsonl; its loss is in nats per token where it has a perplexity.</summary>
public sealed record EvaluationRecord(long Step, double? Seconds, double Loss, bool HasPerplexity = true);

/// <summary>The figures of a scheduled evaluator in metrics.jsonl, by their keys; null where one was not finite.</summary>
public sealed record EvaluatorRecord(long Step, double? Seconds, string Name, IReadOnlyList<(string Key, double? Value)> Figures);

/// <summary>The records of a run's metrics.jsonl by their kinds, each in the order of steps, and the steps that were skipped because they
/// were not finite.</summary>
public sealed record RunMetrics(IReadOnlyList<StepRecord> Steps, IReadOnlyList<EvaluationRecord> Evaluations, long SkippedSteps)
{
    /// <summary>What scheduled evaluators found.</summary>
    public IReadOnlyList<EvaluatorRecord> Measures { get; init; } = [];

    /// <summary>The steps that were skipped as spikes.</summary>
    public long SpikeSteps { get; init; }

    internal static RunMetrics None { get; } = new([], [], 0);

    /// <summary>Whether neither a step nor an evaluation is recorded.</summary>
    public bool IsEmpty => Steps.Count == 0 && Evaluations.Count == 0;

    /// <summary>The evaluation with the lowest validation loss; null where none is finite.</summary>
    public EvaluationRecord? Best => Evaluations.Where(record => double.IsFinite(record.Loss)).MinBy(record => record.Loss);

    /// <summary>Reads a run directory's metrics.jsonl, of an active run too; damaged lines are reported and left out, and where there is no
    /// file there are no records.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    public static RunMetrics Read(string directory, Action<string> warn) =>
        new MetricsReader(Path.Combine(directory, MetricsFile.Name), warn).Read();

    /// <summary>Tokens trained on at a step: as recorded, interpolated between two records; null where no step is recorded.</summary>
    public double? TokensAt(long step)
    {
        if (Steps.Count == 0) return null;
        var after = FirstAtOrAfter(step);
        if (after < Steps.Count && Steps[after].Step == step) return Steps[after].Tokens;
        var (left, right) = (after == 0 ? (0L, 0L) : Place(after - 1), after < Steps.Count ? Place(after) : Place(Steps.Count - 1));
        if (right.Item1 == left.Item1) left = (0, 0);   // beyond the last record: at the pace of the whole run
        return right.Item1 == left.Item1 ? right.Item2
            : left.Item2 + (double)(right.Item2 - left.Item2) * (step - left.Item1) / (right.Item1 - left.Item1);
    }

    private (long Step, long Tokens) Place(int index) => (Steps[index].Step, Steps[index].Tokens);

    private int FirstAtOrAfter(long step)
    {
        var (low, high) = (0, Steps.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (Steps[middle].Step < step) low = middle + 1;
            else high = middle;
        }
        return low;
    }
}

/// <summary>Reads metrics.jsonl leniently: damaged lines are reported and skipped.</summary>
internal sealed class MetricsReader(string path, Action<string> warn)
{
    private readonly List<StepRecord> steps = [];
    private readonly List<EvaluationRecord> evaluations = [];
    private readonly List<EvaluatorRecord> measures = [];
    private long skippedSteps, spikeSteps;
    private double? seconds = 0;

    /// <summary>Of a step recorded twice, as by a run that was killed and resumed, the last record counts.</summary>
    public RunMetrics Read()
    {
        if (!File.Exists(path)) return RunMetrics.None;
        try
        {
            var number = 0;
            // An active run holds the file open for writing.
            using StreamReader reader = new(new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
            while (reader.ReadLine() is { } line)
            {
                number++;
                if (line.Length > 0) ReadLine(line, number);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: the metrics cannot be read: {error.Message}", error);
        }
        return new RunMetrics(steps, evaluations, skippedSteps) { Measures = measures, SpikeSteps = spikeSteps };
    }

    private void ReadLine(string line, int number)
    {
        try
        {
            using var document = JsonDocument.Parse(line);
            Take(document.RootElement);
        }
        catch (Exception error) when (error is JsonException or InvalidDataException)
        {
            warn($"{path}, line {number}: it is damaged and left out ({error.Message.TrimEnd('.')})");
        }
    }

    private void Take(JsonElement record)
    {
        if (record.ValueKind != JsonValueKind.Object) throw new InvalidDataException("it is no JSON object");
        var step = (long)(Number(record, "step") ?? throw new InvalidDataException("it has no \"step\""));
        if (Number(record, "validationLoss") is { } validationLoss) TakeEvaluation(record, step, validationLoss);
        else if (record.TryGetProperty("loss", out _)) TakeStep(record, step);
        else if (record.TryGetProperty("figures", out var figures)) TakeEvaluator(record, step, figures);
        // Other kinds of record are for other readers.
    }

    private void TakeStep(JsonElement record, long step)
    {
        while (steps is [.., var superseded] && superseded.Step >= step) steps.RemoveAt(steps.Count - 1);
        seconds = steps is [.., var last] ? last.Seconds : 0;
        if (evaluations is [.., var evaluation] && evaluation.Seconds > seconds && evaluation.Step < step) seconds = evaluation.Seconds;
        if (measures is [.., var measure] && measure.Seconds > seconds && measure.Step < step) seconds = measure.Seconds;
        var (stepsBefore, tokensBefore) = steps is [.., var before] ? (before.Step, before.Tokens) : (0, 0);
        var tokens = (long)(Number(record, "tokens") ?? 0);
        var speed = Number(record, "tokensPerSecond");
        seconds += Number(record, "stepSeconds") * (step - stepsBefore) ?? (tokens - tokensBefore) / speed;
        if (seconds is { } time && !double.IsFinite(time)) seconds = null;
        steps.Add(new StepRecord(step, tokens, seconds, Number(record, "loss"), Number(record, "learningRate"),
            Number(record, "gradientNorm"), speed));
        skippedSteps = (long)(Number(record, "skippedSteps") ?? 0);
        spikeSteps = (long)(Number(record, "spikeSteps") ?? 0);
    }

    private void TakeEvaluation(JsonElement record, long step, double loss)
    {
        while (evaluations is [.., var superseded] && superseded.Step >= step) evaluations.RemoveAt(evaluations.Count - 1);
        evaluations.Add(new EvaluationRecord(step, Ended(record), loss, record.TryGetProperty("perplexity", out _)));
    }

    private void TakeEvaluator(JsonElement record, long step, JsonElement figures)
    {
        if (!record.TryGetProperty("evaluation", out var title) || title.ValueKind != JsonValueKind.String
            || figures.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException("its \"evaluation\" is no name, or its \"figures\" are no object");
        var name = title.GetString()!;
        measures.RemoveAll(superseded => superseded.Name == name && superseded.Step >= step);
        measures.Add(new EvaluatorRecord(step, Ended(record), name,
            [.. figures.EnumerateObject()
                .Select(figure => (figure.Name, Number(figures, figure.Name) is { } value
                    && double.IsFinite(value) ? value : (double?)null))]));
    }

    /// <summary>When an evaluation ended: after all that the file records before it.</summary>
    private double? Ended(JsonElement record)
    {
        var before = Math.Max(steps is [.., var last] ? last.Seconds ?? double.NaN : 0,
            Math.Max(evaluations is [.., var earlier] ? earlier.Seconds ?? 0 : 0,
                measures is [.., var measure] ? measure.Seconds ?? 0 : 0));
        var ended = before + (Number(record, "evaluationSeconds") ?? 0);
        return double.IsFinite(ended) ? ended : null;
    }

    /// <summary>JSON has no NaN and no infinity: metrics.jsonl has them as strings.</summary>
    private static double? Number(JsonElement record, string name)
    {
        if (!record.TryGetProperty(name, out var value)) return null;
        return value.ValueKind switch
        {
            JsonValueKind.Null => null,
            JsonValueKind.Number => value.GetDouble(),
            JsonValueKind.String => value.GetString() switch
            {
                "NaN" => double.NaN,
                "Infinity" => double.PositiveInfinity,
                "-Infinity" => double.NegativeInfinity,
                var text => throw new InvalidDataException($"\"{name}\" is \"{text}\", which is no number"),
            },
            _ => throw new InvalidDataException($"\"{name}\" is {value.GetRawText()}, which is no number"),
        };
    }
}
