using System.Text;

namespace Trainer.Reporting.Monitoring;

/// <summary>Writes generated texts to samples/step-00000500.txt, a file per step.</summary>
internal sealed class SampleFilesSink(string directory) : IMetricsSink
{
    internal const string Separator = "\n\n--------------------------------------------------------------------------------\n\n";
    private long? _step;

    public void Sample(long step, string prompt, string text)
    {
        var path = Path.Combine(directory, $"step-{step:D8}.txt");
        // A resumed run repeats steps: the first sample of a step starts its file over.
        using var file = new AppendFile(path, startOver: _step != step);
        file.Append(Encoding.UTF8.GetBytes((_step == step ? Separator : "") + prompt + text));
        _step = step;
    }

    public void Evaluated(EvaluatorMetrics metrics)
    {
        foreach (var (prompt, text) in metrics.Texts)
            Sample(metrics.Step, prompt, text);
    }

    public void Dispose()
    {
    }
}
