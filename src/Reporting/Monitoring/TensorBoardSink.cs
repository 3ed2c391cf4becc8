using Trainer.Models;

namespace Trainer.Reporting.Monitoring;

internal sealed class TensorBoardSink(string directory, long firstStep) : IMetricsSink
{
    private readonly TensorBoardWriter _writer = new(directory, firstStep);
    private readonly List<string> _prompts = [];

    public void Step(StepMetrics metrics)
    {
        var step = metrics.Step;
        _writer.Scalar("loss/train", metrics.Loss, step);
        _writer.Scalar("optimizer/learningRate", metrics.LearningRate, step);
        _writer.Scalar("optimizer/gradientNorm", metrics.GradientNorm, step);
        _writer.Scalar("optimizer/skippedSteps", metrics.SkippedSteps, step);
        if (metrics.SpikeSteps is { } spikes)
            _writer.Scalar("optimizer/spikeSteps", spikes, step);
        _writer.Scalar("speed/tokensPerSecond", metrics.TokensPerSecond, step);
        _writer.Scalar("speed/stepSeconds", metrics.StepSeconds, step);
        if (metrics.ModelFlopUtilisation is { } utilisation)
            _writer.Scalar("speed/modelFlopUtilisation", utilisation, step);
        if (metrics.PeakMemoryBytes is { } memory)
            _writer.Scalar("memory/peakBytes", memory, step);
    }

    public void Evaluation(EvaluationMetrics metrics)
    {
        _writer.Scalar("loss/validation", metrics.ValidationLoss, metrics.Step);
        _writer.Scalar("loss/bestValidation", metrics.BestLoss, metrics.Step);
        if (metrics.Perplexity is { } perplexity)
            _writer.Scalar("perplexity/validation", perplexity, metrics.Step);
    }

    public void Evaluated(EvaluatorMetrics metrics)
    {
        foreach (var figure in metrics.Figures)
            _writer.Scalar($"evaluation/{metrics.Name}/{figure.Key}", figure.Value, metrics.Step);
        for (var i = 0; i < metrics.Texts.Count; i++)
            _writer.Text($"evaluation/{metrics.Name}/{i + 1}", CodeBlock(metrics.Texts[i].Prompt + metrics.Texts[i].Text), metrics.Step);
    }

    public void Sample(long step, string prompt, string text)
    {
        if (!_prompts.Contains(prompt))
            _prompts.Add(prompt);
        _writer.Text($"samples/{_prompts.IndexOf(prompt) + 1}", CodeBlock(prompt + text), step);
    }

    public void Histogram(string name, HistogramSummary histogram, long step)
    {
        _writer.Histogram(name, histogram, step);
        if (histogram.NonFinite > 0)
            _writer.Scalar($"nonFinite/{name}", histogram.NonFinite, step);
    }

    public void Experts(ExpertReport layer, long step)
    {
        // Tags such as experts/layer3/tokens, or experts/encoder/layer3/tokens.
        var place = layer.Layer.Replace("blocks.", "layer", StringComparison.Ordinal).Replace(".feedForward", "", StringComparison.Ordinal);
        var tag = $"experts/{place.Replace('.', '/')}";
        double[] edges = [.. Enumerable.Range(0, layer.Tokens.Count + 1)];
        _writer.Histogram($"{tag}/tokens", HistogramSummary.FromBuckets(edges, [.. layer.Tokens.Select(count => (double)count)]), step);
        _writer.Scalar($"{tag}/busiest", layer.Busiest, step);
        _writer.Scalar($"{tag}/idle", layer.Idle, step);
    }

    public void Configuration(string json)
    {
        _writer.Text("configuration", CodeBlock(json), firstStep);
        _writer.SessionStart(json, firstStep);
    }

    public void Completed(long step) => _writer.SessionEnd(step);

    public void Flush() => _writer.Flush();

    public void Dispose() => _writer.Dispose();

    // Indented, not fenced: sampled text may itself hold a fence.
    private static string CodeBlock(string text) =>
        "    " + text.ReplaceLineEndings("\n").Replace("\n", "\n    ", StringComparison.Ordinal);
}
