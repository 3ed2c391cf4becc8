using System.Buffers;
using System.Text.Json;

namespace Trainer.Reporting.Monitoring;

/// <summary>Writes metrics.jsonl: one JSON object a line, for scripts.</summary>
/// <remarks>Numbers are written so that reading them back gives the same double. JSON has no NaN and no infinity: they
/// are the strings "NaN", "Infinity" and "-Infinity", which float() in Python and System.Text.Json's named literals read.</remarks>
/// <param name="path">The file; appended to. See <see cref="MetricsFile.Rewind"/> for resuming.</param>
public sealed class JsonLinesSink(string path) : IMetricsSink
{
    private readonly AppendFile _file = new(path, endLine: true);
    private readonly ArrayBufferWriter<byte> _line = new();

    /// <inheritdoc/>
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
    });

    /// <inheritdoc/>
    public void Evaluation(EvaluationMetrics metrics) => Line(json =>
    {
        json.WriteNumber("step", metrics.Step);
        Number(json, "validationLoss", metrics.ValidationLoss);
        Number(json, "perplexity", metrics.Perplexity);
        Number(json, "evaluationSeconds", metrics.Seconds);
    });

    /// <inheritdoc/>
    public void Measured(MeasureMetrics metrics) => Line(json =>
    {
        json.WriteNumber("step", metrics.Step);
        json.WriteString("evaluation", metrics.Name);
        Number(json, "evaluationSeconds", metrics.Seconds);
        json.WriteStartObject("figures");
        foreach (var figure in metrics.Figures)
            Number(json, figure.Key, figure.Value);
        json.WriteEndObject();
    });

    /// <inheritdoc/>
    public void Flush() => _file.Flush();

    /// <inheritdoc/>
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
