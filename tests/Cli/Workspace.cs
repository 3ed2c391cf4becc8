using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>A folder of its own in which the program runs as a user would run it, with a small text and a small recipe.</summary>
internal sealed class Workspace : IDisposable
{
    internal static readonly string Program = Path.Combine(AppContext.BaseDirectory, "Trainer.dll");

    /// <summary>A recipe that trains in a second or two: an epoch of its text is 14 windows.</summary>
    private const string Recipe = """
        {
          "name": "small",
          "model": {
            "architecture": "decoder", "dim": 32, "layers": 2, "contextLength": 32, "dropout": 0.1,
            "attention": { "type": "grouped-query", "heads": 4, "keyValueHeads": 2 },
            "position": { "type": "rotary" }, "feedForward": { "type": "swiglu" }, "norm": { "type": "rms" }
          },
          "tokenizer": { "type": "character" },
          "data": { "train": [ { "path": "text.txt" } ], "validationFraction": 0.2 },
          "training": { "steps": 40, "batchSize": 4, "microBatchSize": 2, "device": "cpu" },
          "schedule": { "type": "cosine", "warmupSteps": 5, "minimumLearningRate": 1e-4 },
          "evaluation": { "every": 10, "batches": 2 },
          "checkpoint": { "every": 10, "keep": 2 },
          "monitoring": { "logEvery": 1, "samples": [ "the " ] }
        }
        """;

    public Workspace()
    {
        Directory.CreateDirectory(Folder);
        File.WriteAllText(PathOf("text.txt"), Words(100));
        File.WriteAllText(PathOf("small.json"), Recipe);
    }

    /// <summary>A copy of another one with all that is in it.</summary>
    public Workspace(Workspace other)
    {
        foreach (var file in Directory.EnumerateFiles(other.Folder, "*", SearchOption.AllDirectories))
        {
            var copy = PathOf(Path.GetRelativePath(other.Folder, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    /// <summary>Threads that libtorch may use.</summary>
    public int Threads { get; init; } = 1;

    public string Folder { get; } = Path.Combine(Path.GetTempPath(), "trainer-cli-" + Guid.NewGuid().ToString("N")[..12]);

    public string PathOf(string name) => Path.Combine(Folder, name);

    /// <summary>Runs a command of the program to its end, in a process that has run others before.</summary>
    public Outcome Run(params string[] arguments) =>
        CommandHost.IsSupported ? CommandHost.Run(Threads, Folder, arguments) : RunAlone(arguments);

    /// <summary>Runs a command to its end in a process of its own, as a user does.</summary>
    public Outcome RunAlone(params string[] arguments) =>
        Command.Run("dotnet", [Program, .. arguments], new() { ["OMP_NUM_THREADS"] = $"{Threads}" }, Folder);

    /// <summary>Runs the program to its end, which has to be a good one.</summary>
    public Outcome Succeeds(params string[] arguments)
    {
        var outcome = Run(arguments);
        Assert.True(outcome.ExitCode == 0, $"{arguments[0]}: exit code {outcome.ExitCode}: {outcome.Error}");
        return outcome;
    }

    /// <summary>Runs the program to its end with this on its standard input.</summary>
    public Outcome Answer(string input, params string[] arguments) =>
        Command.Run("dotnet", [Program, .. arguments], folder: Folder, input: input);

    /// <summary>Starts the program and leaves it running.</summary>
    public Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Program, .. arguments])
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["OMP_NUM_THREADS"] = $"{Threads}";
        return Process.Start(start)!;
    }

    /// <summary>The records of a run with a loss, by step; the speed, which no two runs share, is left out.</summary>
    public IReadOnlyDictionary<long, string> Losses(string run) => File.ReadLines(PathOf($"{run}/metrics.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Where(record => record.TryGetProperty("loss", out _))
        .ToDictionary(
            record => record.GetProperty("step").GetInt64(),
            record => string.Create(
                CultureInfo.InvariantCulture,
                $"{record.GetProperty("loss")} {record.GetProperty("gradientNorm")} {record.GetProperty("learningRate")}"));

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>Text with some structure, the same every time.</summary>
    public static string Words(int count)
    {
        string[] words = ["the", "model", "reads", "a", "token", "and", "returns", "value", "of", "list"];
        var state = 12345u;
        return string.Join(' ', Enumerable.Range(0, count).Select(_ => words[(state = state * 1664525 + 1013904223) >> 16 & 7]));
    }
}
