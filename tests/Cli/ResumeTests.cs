using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>A run that was killed and one that was not end in the same bits, past the first epoch and with dropout.</summary>
public sealed class ResumeTests
{
    // Two threads share the rows of a batch or, where there is one row, operations.
    [Theory]
    [InlineData(1, "0.1", "float32")]
    [InlineData(1, "0.1", "bfloat16")]
    [InlineData(2, "0.1", "float32")]
    [InlineData(2, "0", "float32")]
    [InlineData(2, "0", "bfloat16")]
    [InlineData(2, "0.1", "bfloat16")]
    [InlineData(2, "0.1", "float32", 1)]
    [InlineData(2, "0.1", "bfloat16", 1)]
    public void Killed_and_resumed_equals_uninterrupted_bit_for_bit(int threads, string dropout, string precision, int rows = 2)
    {
        using var workspace = new Workspace { Threads = threads };
        KilledEqualsWhole(
            workspace, "--set", $"model.dropout={dropout}", $"training.precision={precision}", $"training.microBatchSize={rows}");
        Assert.Contains(
            threads == rows ? "computing: each micro-batch in 2 parts" : $"computing: every operation on {threads} threads",
            File.ReadAllText(workspace.PathOf("whole/log.txt")), StringComparison.Ordinal);
    }

    // The bias that balances experts follows the load of whole steps, whoever computed them, and is part of the checkpoint.
    [Theory]
    [InlineData(1, "loss")]
    [InlineData(2, "bias")]
    public void Experts_killed_and_resumed_equal_uninterrupted_bit_for_bit(int threads, string balance)
    {
        using var workspace = new Workspace { Threads = threads };
        KilledEqualsWhole(
            workspace, "--set", "model.dropout=0", "model.feedForward.type=experts", "model.feedForward.experts=4",
            "model.feedForward.shared=1", "model.feedForward.hiddenDim=32", $"model.feedForward.balance.type={balance}");
    }

    [Fact]
    public void Parquet_read_ahead_and_killed_in_the_second_epoch_equals_uninterrupted_bit_for_bit()
    {
        using var workspace = new Workspace();
        var parquet = Path.Combine(Command.Repository, "tests", "Data", "Parquet", "Fixtures", "rust-zstd-v2-delta_byte_array.parquet");
        KilledEqualsWhole(
            workspace, "--set", $"data.train.0.path={parquet}", "data.train.0.column=text", "data.validationFraction=0.5",
            "data.loaderThreads=2", "tokenizer.type=byte", "training.batchSize=8", "checkpoint.keep=10");
        using var state = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("killed/checkpoints/step-00000020/state.json")));
        Assert.Equal(1, state.RootElement.GetProperty("position").GetProperty("epoch").GetInt64());
    }

    // Fixtures/EarlierRun is of commit 76cab4b, whose kernels were C++ on libtorch 2.6: its checkpoint after 6 of 12 steps, and the figures
    // of all of them. The text is the workspace's own.
    [Fact]
    public void A_run_that_began_on_the_kernels_in_Cpp_goes_on_as_it_did_there()
    {
        using var workspace = new Workspace();
        var fixture = Path.Combine(Command.Repository, "tests", "Cli", "Fixtures", "EarlierRun");
        foreach (var file in Directory.EnumerateFiles(fixture, "*", SearchOption.AllDirectories))
        {
            var copy = workspace.PathOf(Path.GetRelativePath(fixture, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        var outcome = workspace.Succeeds("train", "earlier.json", "--run", "run", "--resume");

        Assert.Contains("7 records from step 7 on removed", outcome.Output + outcome.Error, StringComparison.Ordinal);
        var expected = Figures(Path.Combine(fixture, "run", "metrics.jsonl"));
        var actual = Figures(workspace.PathOf("run/metrics.jsonl"));
        Assert.Equal(12 * 2 + 2, expected.Length);
        Assert.Equal(expected.Length, actual.Length);
        foreach (var ((step, name, there), here) in expected.Zip(actual))
        {
            Assert.Equal((step, name), (here.Step, here.Name));
            Assert.Equal(there, here.Value, 1e-5);
        }
    }

    private static (long Step, string Name, double Value)[] Figures(string metrics) =>
    [
        .. from line in File.ReadLines(metrics)
           let record = JsonElement.Parse(line)
           from name in (string[])["loss", "gradientNorm", "validationLoss"]
           where record.TryGetProperty(name, out _)
           select (record.GetProperty("step").GetInt64(), name, record.GetProperty(name).GetDouble()),
    ];

    private static void KilledEqualsWhole(Workspace workspace, params string[] settings)
    {
        workspace.Succeeds(["train", "small.json", "--run", "whole", .. settings]);

        // On a busy machine a run may end before it is killed, and would prove nothing.
        for (var attempt = 1; !DiesMidway(workspace, settings); attempt++)
        {
            Assert.True(attempt < 5, "the run ended before it could be killed");
            Directory.Delete(workspace.PathOf("killed"), recursive: true);
        }

        workspace.Succeeds(["train", "small.json", "--run", "killed", "--resume", .. settings]);

        Assert.Equal(40, workspace.Losses("whole").Count);
        Assert.Equal(workspace.Losses("whole"), workspace.Losses("killed"));
        foreach (var file in new[] { "model.safetensors", "optimizer.safetensors", "state.json" })
            Assert.Equal(
                File.ReadAllBytes(workspace.PathOf($"whole/checkpoints/step-00000040/{file}")),
                File.ReadAllBytes(workspace.PathOf($"killed/checkpoints/step-00000040/{file}")));
    }

    // Whether the run was killed after its checkpoint of step 20 and before that of its last one.
    private static bool DiesMidway(Workspace workspace, string[] settings)
    {
        string middle = workspace.PathOf("killed/checkpoints/step-00000020"), last = workspace.PathOf("killed/checkpoints/step-00000040");
        using var process = workspace.Start(["train", "small.json", "--run", "killed", .. settings]);
        WaitFor(process, () => Directory.Exists(middle) || Directory.Exists(last));
        process.Kill();
        process.WaitForExit();
        return !Directory.Exists(last);
    }

    // `timeout` and `dotnet run` each pass the signal on: the program hears one request twice.
    [Theory]
    [InlineData("kill -s INT {0}")]
    [InlineData("kill -s TERM {0}")]
    [InlineData("kill -s TERM {0}; sleep 0.02; kill -s TERM {0}")]
    public void A_signal_ends_the_run_with_a_checkpoint_and_130(string kill)
    {
        using var workspace = new Workspace();
        var ended = Stopped(workspace, kill, "training.batchSize=200");

        Assert.Equal(130, ended.ExitCode);
        Assert.Contains("--resume", ended.Output, StringComparison.Ordinal);
        Assert.Contains("saving a checkpoint", ended.Error, StringComparison.Ordinal);
        Assert.True(Directory.Exists(
            workspace.PathOf($"run/checkpoints/{File.ReadAllText(workspace.PathOf("run/checkpoints/last")).Trim()}")));
    }

    [Fact]
    public void A_second_signal_ends_the_run_within_its_step()
    {
        using var workspace = new Workspace();
        // Within the second step: right after the first one its metrics are there, and a stop would still be heeded before the next.
        var ended = Stopped(workspace, "sleep 0.5; kill -s TERM {0}; sleep 1.2; kill -s TERM {0}", "training.batchSize=20000",
            "training.microBatchSize=2000");

        Assert.Equal(128 + 15, ended.ExitCode);
        Assert.Contains("once more ends at once without saving", ended.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(workspace.PathOf("run/checkpoints/last")));
    }

    /// <summary>A run without an end, stopped after its first step by a shell command given its process.</summary>
    private static Outcome Stopped(Workspace workspace, string kill, params string[] settings)
    {
        using var process = workspace.Start(
            ["train", "small.json", "--run", "run", "--set", "training.steps=1000000", "checkpoint.every=0", "evaluation.every=0",
                "monitoring.logEvery=1", .. settings]);
        WaitFor(process, () =>
            File.Exists(workspace.PathOf("run/metrics.jsonl")) && new FileInfo(workspace.PathOf("run/metrics.jsonl")).Length > 0);
        Assert.Equal(0, Command.Run("sh", ["-c", string.Format(CultureInfo.InvariantCulture, kill, process.Id)]).ExitCode);
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromSeconds(60)));
        return new Outcome(process.ExitCode, output, error.Result);
    }

    private static void WaitFor(Process process, Func<bool> condition)
    {
        var start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            Assert.False(process.HasExited, "the run ended before it could be stopped");
            Assert.True(Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(120), "the run did not get that far in two minutes");
            Thread.Sleep(5);
        }
    }
}
