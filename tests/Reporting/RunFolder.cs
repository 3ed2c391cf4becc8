using System.Globalization;
using System.Text.Json;
using Trainer.Tests;

namespace Trainer.Reporting.Tests;

/// <summary>Run directories made by hand, so that a test knows every figure in them.</summary>
internal sealed class RunFolder : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public string Root => directory.Path;

    /// <summary>A run with a configuration and so many recorded steps, evaluated every ten.</summary>
    public string Run(string name, int steps = 40, double learningRate = 1e-3, IEnumerable<string>? lines = null)
    {
        var path = Directory.CreateDirectory(Path.Combine(Root, name)).FullName;
        File.WriteAllText(Path.Combine(path, "config.json"), JsonSerializer.Serialize(new
        {
            name = "small",
            seed = 1,
            training = new { steps, device = "cpu" },
            optimizer = new { type = "adamw", learningRate, betas = new[] { 0.9, 0.95 } },
            data = new { train = new[] { new { path = "text.txt" } } },
            monitoring = new { samples = new[] { "the " } },
        }));
        File.WriteAllLines(Path.Combine(path, "metrics.jsonl"), lines ?? Enumerable.Range(1, steps).SelectMany(Records));
        return path;
    }

    public void Dispose() => directory.Dispose();

    /// <summary>A step's record: its loss falls as 1 + 4/step, it takes half a second.</summary>
    public static string Step(int step, string? loss = null, int? spikes = null) => string.Create(CultureInfo.InvariantCulture,
        $$"""{"step":{{step}},"tokens":{{step * 64}},"loss":{{loss ?? (1 + 4.0 / step).ToString(CultureInfo.InvariantCulture)}},"learningRate":0.001,"gradientNorm":0.5,"tokensPerSecond":128,"stepSeconds":0.5,"skippedSteps":0{{(spikes is null ? "" : $",\"spikeSteps\":{spikes}")}}}""");

    public static string Evaluation(int step, double loss) => string.Create(CultureInfo.InvariantCulture,
        $$"""{"step":{{step}},"validationLoss":{{loss}},"perplexity":{{Math.Exp(loss)}},"evaluationSeconds":2}""");

    public static string Measure(int step, string name, string figures) =>
        $$"""{"step":{{step}},"evaluation":"{{name}}","evaluationSeconds":1,"figures":{""" + figures + "}}";

    private static IEnumerable<string> Records(int step) =>
        step % 10 == 0 ? [Step(step), Evaluation(step, 1.25 + 4.0 / step)] : [Step(step)];
}
