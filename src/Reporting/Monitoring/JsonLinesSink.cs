using System.Buffers;
using System.Text;
using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Reporting.Monitoring;

/// <summary>Writes metrics.jsonl, one JSON object a line, whose numbers read back as the same doubles. NaN and infinities, which JSON
/// lacks, are the strings "NaN", "Infinity" and "-Infinity", as Python's float() and System.Text.Json's named literals read them.</summary>
internal sealed class JsonLinesSink(string path) : IMetricsSink
{
    private readonly AppendFile _file = new(path, endLine: true);
    private readonly ArrayBufferWriter<byte> _line = new();

    public void Step(StepMetrics metrics) => Line(json =>
    {
        json.WriteNumber("step", metrics.Step);
        json.WriteNumber("tokens", metrics.Tokens);
        Number(json, "loss", metrics.Loss);
        Number(json, "learningRate", metrics.LearningRate);
        Number(json, "gradientNorm", metrics.GradientNorm);
        Number(json, "tokensPerSecond", metrics.TokensPerSecond);
        Number(json, "stepSeconds", metrics.StepSeconds);
        if (metrics.ModelFlopUtilisation is { } utilisation)
            Number(json, "modelFlopUtilisation", utilisation);
        if (metrics.PeakMemoryBytes is { } memory)
            json.WriteNumber("peakMemoryBytes", memory);
        json.WriteNumber("skippedSteps", metrics.SkippedSteps);
        if (metrics.SpikeSteps is { } spikes)
            json.WriteNumber("spikeSteps", spikes);
    });

    public void Evaluation(EvaluationMetrics metrics) => Line(json =>
    {
        json.WriteNumber("step", metrics.Step);
        Number(json, "validationLoss", metrics.ValidationLoss);
        if (metrics.Perplexity is { } perplexity)
            Number(json, "perplexity", perplexity);
        Number(json, "evaluationSeconds", metrics.Seconds);
    });

    public void Evaluated(EvaluatorMetrics metrics) => Line(json =>
    {
        json.WriteNumber("step", metrics.Step);
        json.WriteString("evaluation", metrics.Name);
        Number(json, "evaluationSeconds", metrics.Seconds);
        json.WriteStartObject("figures");
        foreach (var figure in metrics.Figures)
            Number(json, figure.Key, figure.Value);
        json.WriteEndObject();
    });

    public void Flush() => _file.Flush();

    public void Dispose() => _file.Dispose();

    private void Line(Action<Utf8JsonWriter> fields)
    {
        _line.ResetWrittenCount();
        using (var json = new Utf8JsonWriter(_line))
        {
            json.WriteStartObject();
            fields(json);
            json.WriteEndObject();
        }
        _line.Write("\n"u8);
        _file.Append(_line.WrittenSpan);
    }

    private static void Number(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
            json.WriteNumber(name, value);
        else
            json.WriteString(name, double.IsNaN(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    }
}

/// <summary>The file metrics.jsonl of a run.</summary>
public static class MetricsFile
{
    /// <summary>Its name in the run's directory.</summary>
    public const string Name = "metrics.jsonl";

    /// <summary>Removes the records of <paramref name="firstStep"/> and later, and damaged lines, which a killed process may leave; returns
    /// how many of each. The file is replaced atomically.</summary>
    /// <exception cref="UserException">It cannot be rewritten.</exception>
    public static (int Overlapping, int Damaged) Rewind(string path, long firstStep)
    {
        if (!File.Exists(path))
            return default;
        try
        {
            return Rewrite(path, firstStep);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: steps from {firstStep} on could not be removed before they are recorded again: " +
                $"{failure.Message}", failure);
        }
    }

    private static (int Overlapping, int Damaged) Rewrite(string path, long firstStep)
    {
        var (overlapping, damaged) = (0, 0);
        var temporary = path + ".tmp";
        using (var target = new FileStream(temporary, FileMode.Create))
        {
            foreach (var line in File.ReadLines(path).Where(line => line.Length > 0))
            {
                if (Step(line) is not { } step)
                    damaged++;
                else if (step >= firstStep)
                    overlapping++;
                else
                    target.Write(Encoding.UTF8.GetBytes(line + "\n"));
            }
            target.Flush(flushToDisk: true);
        }
        File.Move(temporary, path, overwrite: true);
        return (overlapping, damaged);
    }

    private static long? Step(string line)
    {
        try
        {
            using var record = JsonDocument.Parse(line);
            return record.RootElement.ValueKind == JsonValueKind.Object
                && record.RootElement.TryGetProperty("step", out var step)
                && step.ValueKind == JsonValueKind.Number
                && step.TryGetInt64(out var value) ? value : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
