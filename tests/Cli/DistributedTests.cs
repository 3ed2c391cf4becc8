using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Trainer.Cli.Tests;

/// <summary>Training by several processes that mpirun starts, against one process.</summary>
public sealed class DistributedTests
{
    private const string OpenMpi = "mpirun.openmpi", Mpich = "mpirun.mpich";

    private static readonly Dictionary<string, string[]> Variants = new()
    {
        ["dropout and two micro-batches"] = [],
        ["bfloat16 and experts"] = ["training.precision=bfloat16", "model.feedForward.type=experts", "model.feedForward.experts=4",
            "model.feedForward.active=2", "model.feedForward.balance.type=bias", "model.feedForward.balance.rate=1e-3"],
        ["packed documents"] = ["tokenizer.type=bpe", "tokenizer.vocabularySize=260", "tokenizer.specialTokens=[\"<|endoftext|>\"]",
            "data.packing=documents"],
        ["conversations and a text"] = ["tokenizer.type=byte", "data.train.0.path=talks.jsonl", "data.train.0.format=chat",
            "data.train.1.path=text.txt", "data.train.1.weight=2", "model.contextLength=64"],
        ["blocks computed again"] = ["training.activationCheckpointing=true", "training.microBatchSize=4"],
    };

    public static TheoryData<string, string> Runs => new()
    {
        { OpenMpi, "dropout and two micro-batches" },
        { Mpich, "bfloat16 and experts" },
        { OpenMpi, "packed documents" },
        { Mpich, "blocks computed again" },
        { Mpich, "conversations and a text" },
    };

    [Theory]
    [MemberData(nameof(Runs))]
    public void Two_processes_are_two_threads_of_one_bit_for_bit(string mpi, string variant)
    {
        Require(mpi);
        using Workspace one = new() { Threads = 2 }, two = new();
        string[] train = ["train", "small.json", "--run", "run", "--set", "training.steps=20", .. Variants[variant]];
        foreach (var workspace in new[] { one, two })
            File.WriteAllLines(workspace.PathOf("talks.jsonl"), Enumerable.Range(0, 40).Select(i =>
                $$"""{"instruction": "Say {{i}}.", "output": "It is {{new string('o', i)}} {{i}}!"}"""));

        one.Succeeds(train);
        var outcome = Run(two, mpi, 2, train);

        Assert.True(outcome.ExitCode == 0, outcome.Error);
        Assert.Contains("2 processes on 1 machine", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(one.Losses("run"), two.Losses("run"));
        Assert.Equal(Hashes(one), Hashes(two));
        Assert.Single(outcome.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public void A_run_goes_on_with_another_number_of_processes()
    {
        Require(OpenMpi);
        Require(Mpich);
        using Workspace straight = new() { Threads = 2 }, changing = new() { Threads = 2 };
        string[] Train(int steps) => ["train", "small.json", "--run", "run", "--resume", "--set", $"training.steps={steps}",
            "training.batchSize=4", "training.microBatchSize=4", "training.shardOptimizer=true", "schedule.type=constant"];

        straight.Succeeds(Train(24));
        Assert.Equal(0, Run(changing, OpenMpi, 2, Train(6)).ExitCode);
        changing.Succeeds(Train(12));
        Assert.Equal(0, Run(changing, Mpich, 4, Train(18)).ExitCode);
        Assert.Equal(0, Run(changing, OpenMpi, 2, Train(24)).ExitCode);

        double[] Losses(Workspace workspace) => [.. workspace.Losses("run").OrderBy(entry => entry.Key).Select(
            entry => double.Parse(entry.Value.Split(' ')[0], CultureInfo.InvariantCulture))];
        Assert.Equal(24, Losses(changing).Length);
        Assert.All(Losses(straight).Zip(Losses(changing)), pair => Assert.Equal(pair.First, pair.Second, 2e-6));
    }

    [Theory]
    [InlineData(OpenMpi, "KILL")]
    [InlineData(Mpich, "KILL")]
    [InlineData(OpenMpi, "STOP")]
    [InlineData(Mpich, "TERM")]
    public async Task One_process_that_ends_or_hangs_ends_all_and_the_last_checkpoint_is_whole(string mpi, string signal)
    {
        Require(mpi);
        using Workspace workspace = new();
        string[] train = ["train", "small.json", "--run", "run", "--resume", "--set", "training.steps=1000000", "evaluation.every=0",
            "training.collectiveTimeout=3"];
        using var process = Start(workspace, mpi, 2, train);
        var error = process.StandardError.ReadToEndAsync();
        SpinWait.SpinUntil(() => File.Exists(workspace.PathOf("run/checkpoints/last")), TimeSpan.FromSeconds(60));

        Command.Run("/bin/sh", ["-c", $"kill -{signal} {Ranks(workspace)[^1]}"]);

        var ended = process.WaitForExit(TimeSpan.FromSeconds(30));
        if (!ended) process.Kill(entireProcessTree: true);
        Assert.True(ended, await error);
        Assert.True(SpinWait.SpinUntil(() => Ranks(workspace).Length == 0, TimeSpan.FromSeconds(10)), "a rank is still there");
        Assert.Equal(signal == "TERM" ? 130 : signal == "STOP" ? 1 : process.ExitCode, process.ExitCode);
        Assert.NotEqual(0, process.ExitCode);
        if (signal == "STOP") Assert.Contains("took longer than 3 s; rank 1 does not answer", await error, StringComparison.Ordinal);
        var last = long.Parse(File.ReadAllText(workspace.PathOf("run/checkpoints/last")).Trim()[5..], CultureInfo.InvariantCulture);
        var resumed = Run(workspace, mpi, 2, [.. train, $"training.steps={last + 1}"]);
        Assert.True(resumed.ExitCode == 0, resumed.Error);
    }

    [Fact]
    public void A_mistake_is_told_once()
    {
        Require(OpenMpi);
        using Workspace workspace = new();

        var outcome = Run(workspace, OpenMpi, 4, ["train", "small.json", "--run", "run"]);

        Assert.True(outcome.ExitCode == 2, $"exit code {outcome.ExitCode}: {outcome.Error}");
        var told = "training.microBatchSize: it counts the sequences of all processes together, and 2 cannot be shared out evenly among 4";
        Assert.Equal(2, outcome.Error.Split(told).Length);
        Assert.False(Directory.Exists(workspace.PathOf("run")));
    }

    [Fact]
    public void A_run_of_two_processes_is_verified_and_branched_by_two_or_by_one()
    {
        Require(OpenMpi);
        using Workspace workspace = new() { Threads = 2 };
        string[] verify = ["verify", "run", "--steps", "10:20"];
        Good(Run(workspace, OpenMpi, 2, TrainKeeping));

        Assert.Equal(Verified, Good(Run(workspace, OpenMpi, 2, verify)).Output);
        Assert.Equal(Verified, workspace.Succeeds(verify).Output);
        Assert.Single(Branched.Matches(workspace.Succeeds("branch", "run", "--at", "10", "--run", "branch").Output));
        Assert.Equal(Hashes(workspace), Hashes(workspace, "branch"));

        var weights = workspace.PathOf("run/checkpoints/step-00000015/model.safetensors");
        var bytes = File.ReadAllBytes(weights);
        bytes[^2] ^= 1;
        File.WriteAllBytes(weights, bytes);
        var differs = Run(workspace, OpenMpi, 2, verify);
        Assert.Equal(1, differs.ExitCode);
        Assert.Single(Regex.Matches(differs.Output, "(?m)^  step 15, model.safetensors: "));
    }

    [Theory]
    [InlineData(Mpich, "optimizer.type=adamw")]
    [InlineData(OpenMpi, "optimizer.type=muon")]
    [InlineData(OpenMpi, "optimizer.type=adamw optimizer.momentPrecision=int8")]
    public void A_run_with_a_shared_optimizer_is_verified_branched_and_replayed_by_as_many(string mpi, string optimizer)
    {
        Require(mpi);
        using Workspace workspace = new();
        Good(Run(workspace, mpi, 2, [.. TrainKeeping, "training.shardOptimizer=true", .. optimizer.Split(' ')]));

        Assert.Equal(Verified, Good(Run(workspace, mpi, 2, ["verify", "run", "--steps", "10:20"])).Output);
        Assert.Single(Branched.Matches(Good(Run(workspace, mpi, 2, ["branch", "run", "--at", "10", "--run", "branch"])).Output));
        Assert.Equal(Hashes(workspace), Hashes(workspace, "branch"));
        using var step = JsonDocument.Parse(Good(Run(workspace, mpi, 2, ["replay", "run", "--step", "13", "--json"])).Output);
        Assert.StartsWith($"{step.RootElement.GetProperty("loss")} {step.RootElement.GetProperty("gradientNorm")} ",
            workspace.Losses("run")[13], StringComparison.Ordinal);
        Assert.Equal(4, step.RootElement.GetProperty("rows").GetArrayLength());
    }

    private const string Verified = "run: steps 11 to 20 computed again, equal bit for bit\n" +
        "  10 records of loss and gradient norm compared\n" +
        "  every tensor compared of the checkpoints of 15, 20\n";

    private static readonly Regex Branched = new("(?m)^step +20 .* equal$");

    private static readonly string[] TrainKeeping =
        ["train", "small.json", "--run", "run", "--set", "training.steps=20", "checkpoint.every=5", "checkpoint.keep=9"];

    [Fact]
    public void Processes_that_cannot_take_a_runs_steps_are_told_so_once()
    {
        Require(OpenMpi);
        using Workspace workspace = new();
        workspace.Succeeds("train", "small.json", "--run", "run", "--set", "training.steps=10");

        foreach (var command in (string[][])[["verify", "run", "--steps", "0:10"], ["replay", "run", "--step", "3"]])
        {
            var outcome = Run(workspace, OpenMpi, 4, command);
            Assert.Equal(2, outcome.ExitCode);
            Assert.Single(Regex.Matches(outcome.Error, "4 processes cannot take the run's steps again; start as many as trained it, "));
        }
        var branched = Run(workspace, OpenMpi, 4, ["branch", "run", "--at", "10", "--set", "training.steps=20"]);
        Assert.Equal(2, branched.ExitCode);
        Assert.Single(Regex.Matches(branched.Error, "2 cannot be shared out evenly among 4"));
        Assert.DoesNotContain(Directory.GetDirectories(workspace.Folder), folder => folder.Contains("run-step"));
    }

    private static Outcome Good(Outcome outcome)
    {
        Assert.True(outcome.ExitCode == 0, outcome.Error);
        return outcome;
    }

    private static string[] Hashes(Workspace workspace, string run = "run") =>
        [.. new[] { "model.safetensors", "optimizer.safetensors" }.Select(
            file => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(workspace.PathOf($"{run}/checkpoints/step-00000020/{file}")))))];

    private static void Require(string mpi) => Assert.SkipUnless(
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(folder => File.Exists(Path.Combine(folder, mpi))),
        $"{mpi} is not there: apt install {(mpi == OpenMpi ? "openmpi-bin" : "mpich")}");

    private static Outcome Run(Workspace workspace, string mpi, int ranks, string[] arguments)
    {
        using var process = Start(workspace, mpi, ranks, arguments);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.WaitForExit();
        // Open MPI gives processes a terminal, whose keypad .NET switches on.
        return new(process.ExitCode, output.Result.Replace("\u001b[?1h\u001b=", ""), error.Result);
    }

    private static Process Start(Workspace workspace, string mpi, int ranks, string[] arguments)
    {
        string[] oversubscribe = mpi == OpenMpi ? ["--oversubscribe"] : [];
        var start = new ProcessStartInfo(mpi, [.. oversubscribe, "-n", $"{ranks}", "dotnet", Workspace.Program, .. arguments])
        {
            WorkingDirectory = workspace.Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Open MPI refuses root without these.
        foreach (var name in (string[])["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMP_NUM_THREADS"])
            start.Environment[name] = "1";
        return Process.Start(start)!;
    }

    // Processes of the workspace, by the number of their rank.
    private static int[] Ranks(Workspace workspace) => [.. Process.GetProcessesByName("dotnet")
        .Select(process => (process.Id, Rank: RankIn(workspace, process.Id)))
        .Where(process => process.Rank is not null)
        .OrderBy(process => process.Rank).Select(process => process.Id)];

    private static int? RankIn(Workspace workspace, int process)
    {
        try
        {
            if (File.ResolveLinkTarget($"/proc/{process}/cwd", returnFinalTarget: false)?.FullName != workspace.Folder) return null;
            return File.ReadAllText($"/proc/{process}/environ").Split('\0')
                .Where(entry => entry.StartsWith("OMPI_COMM_WORLD_RANK=", StringComparison.Ordinal)
                    || entry.StartsWith("PMI_RANK=", StringComparison.Ordinal))
                .Select(entry => int.Parse(entry[(entry.IndexOf('=') + 1)..], CultureInfo.InvariantCulture)).FirstOrDefault(-1);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null; // it has ended meanwhile
        }
    }
}
