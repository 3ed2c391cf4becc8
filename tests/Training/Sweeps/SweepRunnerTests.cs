using System.Collections.Concurrent;
using Trainer.Configuration;
using Trainer.Reporting.Monitoring;
using Trainer.Reporting.Sweeps;
using Trainer.Training.Sweeps;

namespace Trainer.Training.Tests.Sweeps;

/// <summary>The order of a sweep, with runs that are trained here, or only recorded.</summary>
public sealed class SweepRunnerTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly string file;

    public SweepRunnerTests()
    {
        file = Path.Combine(tiny.Root, "tiny.json");
        File.WriteAllText(file, ConfigurationJson.Serialize(tiny.Recipe));
    }

    public void Dispose() => tiny.Dispose();

    [Fact]
    public async Task Runs_are_ordinary_runs_and_those_that_are_done_are_not_trained_again()
    {
        Recorder worker = new(Train);
        SweepPlan plan = Plan(["optimizer.learningRate=1e-3,3e-3"]);

        Assert.True(await Run(plan, worker));
        Assert.Equal(2, worker.Trained.Count);
        Assert.True(await Run(plan, worker));
        Assert.Equal(2, worker.Trained.Count);

        // The second is the recipe as it is.
        tiny.Train("plain");
        Assert.Equal(Weights(tiny.RunPath("plain")), Weights(Path.Combine(plan.Directory, plan.Definition.Runs[1].Name)));
        SweepResults results = SweepResults.Read(plan.Directory, Assert.Fail);
        Assert.All(results.Rows, row => Assert.Equal((1, true, 12L), (row.Runs, row.IsComplete, row.Steps)));
    }

    [Fact]
    public async Task A_rung_drops_the_worse_and_the_rest_is_trained_as_without_rungs()
    {
        Recorder worker = new(Train);
        SweepPlan plan = Plan(["optimizer.learningRate=1e-4,3e-3"], halving: 2);

        Assert.True(await Run(plan, worker));

        Assert.Equal([(plan.Definition.Runs[0].Name, 4L), (plan.Definition.Runs[1].Name, 4L), (plan.Definition.Runs[1].Name, 12L)],
            worker.Trained.Select(entry => (Path.GetFileName(entry.Directory), entry.Until)));
        tiny.Train("plain");
        Assert.Equal(Weights(tiny.RunPath("plain")), Weights(Path.Combine(plan.Directory, plan.Definition.Runs[1].Name)));
        Assert.Equal(SweepStatus.Dropped, SweepRecord.Load(plan.Directory).OutcomeOf(plan.Definition.Runs[0]).Status);
        SweepResults results = SweepResults.Read(plan.Directory, Assert.Fail);
        Assert.Equal([(1, true, false), (0, false, true)], results.Rows.Select(row => (row.Configuration, row.IsComplete, row.IsDropped)));
    }

    [Fact]
    public async Task A_stopped_sweep_goes_on_with_what_is_left()
    {
        using CancellationTokenSource stop = new();
        SweepPlan plan = Plan(["optimizer.learningRate=1e-3,2e-3,3e-3"]);
        Recorder first = new((_, _, _) =>
        {
            stop.Cancel();
            return new WorkerResult(Stopped: true);
        });

        Assert.False(await Run(plan, first, stop.Token));
        Assert.Single(first.Trained);
        Recorder second = new((_, _, _) => new WorkerResult(Stopped: false));
        Assert.True(await Run(plan, second));
        Assert.Equal(3, second.Trained.Count);
    }

    [Theory]
    [InlineData(4)] // after the first rung
    [InlineData(5)] // within the second
    public async Task Halving_that_was_stopped_goes_on_as_if_it_had_not_been(int runs)
    {
        string[] settings = ["optimizer.learningRate=1e-4,1e-3,3e-3,1e-2", "evaluation.every=3"];
        SweepPlan straight = Plan(settings, halving: 2, name: "straight"), parts = Plan(settings, halving: 2, name: "parts");
        Recorder whole = new(Train), second = new(Train);
        Assert.True(await Run(straight, whole));

        using CancellationTokenSource stop = new();
        int trained = 0;
        Recorder first = new((directory, until, token) =>
        {
            WorkerResult result = Train(directory, until, token);
            if (++trained == runs) stop.Cancel();
            return result;
        });
        Assert.False(await Run(parts, first, stop.Token));
        Assert.True(await Run(parts, second));

        Assert.Equal((4 + 2 + 1, runs), (whole.Trained.Count, first.Trained.Count));
        Assert.Equal(whole.Trained.Select(Named), first.Trained.Concat(second.Trained).Select(Named));
        Assert.Equal(Outcomes(straight), Outcomes(parts));
        Assert.Equal(Results(straight), Results(parts));

        (string Run, long Until) Named((string Directory, long Until) entry) => (Path.GetFileName(entry.Directory), entry.Until);

        IEnumerable<SweepOutcome> Outcomes(SweepPlan plan) => plan.Definition.Runs.Select(SweepRecord.Load(plan.Directory).OutcomeOf);

        IEnumerable<(int, double?, long, bool, bool)> Results(SweepPlan plan) => SweepResults.Read(plan.Directory, Assert.Fail).Rows.Select(
            row => (row.Configuration, row.Mean, row.Steps, row.IsComplete, row.IsDropped));
    }

    [Fact]
    public async Task A_text_that_is_missing_leaves_no_sweep_that_would_refuse_the_corrected_one()
    {
        Recorder worker = new((_, _, _) => new WorkerResult(Stopped: false));
        string text = File.ReadAllText(tiny.TextPath);
        SweepPlan plan = Plan(["optimizer.learningRate=1e-3,2e-3"]);
        File.Delete(tiny.TextPath);

        UserException error = await Assert.ThrowsAnyAsync<UserException>(() => Run(plan, worker));
        Assert.Contains("there is no file", error.Message);
        Assert.Empty(worker.Trained);
        Assert.False(SweepRecord.IsIn(plan.Directory));

        File.WriteAllText(tiny.TextPath, text);
        Assert.True(await Run(Plan(["optimizer.learningRate=3e-3,4e-3"]), worker));
    }

    [Fact]
    public async Task Other_jobs_than_the_sweep_was_begun_with_are_warned_of()
    {
        Recorder worker = new((_, _, _) => new WorkerResult(Stopped: false));
        SweepPlan plan = Plan(["optimizer.learningRate=1e-3,2e-3"]);
        async Task<string> Told(int jobs)
        {
            List<string> told = [];
            await Run(plan, worker, jobs: jobs, progress: new Lines(told));
            return string.Join('\n', told);
        }

        Assert.DoesNotContain("--jobs", await Told(1));
        Assert.DoesNotContain("--jobs", await Told(1));
        Assert.Contains("was begun with --jobs 1; with 2 each run has another number of threads", await Told(2));
        Assert.Contains("was begun with --jobs 1", await Told(2));

        (SweepRecord.Load(plan.Directory) with { Jobs = null }).Save(plan.Directory); // as of before they were recorded
        Assert.DoesNotContain("--jobs", await Told(2));
        Assert.Null(SweepRecord.Load(plan.Directory).Jobs);
    }

    [Fact]
    public async Task A_failed_run_is_counted_and_the_others_go_on_and_it_is_tried_once_more_by_the_next_start()
    {
        SweepPlan plan = Plan(["optimizer.learningRate=1e-3,2e-3,3e-3"]);
        WorkerResult Fail(string directory, long until, CancellationToken stop) =>
            directory.Contains("2e-3") ? new(false, "training stopped at step 3") : new(false);

        Assert.True(await Run(plan, new Recorder(Fail)));
        SweepRecord record = SweepRecord.Load(plan.Directory);
        Assert.Equal(new SweepOutcome(SweepStatus.Failed, 12, "training stopped at step 3"), record.OutcomeOf(plan.Definition.Runs[1]));
        Assert.Equal(SweepStatus.Completed, record.OutcomeOf(plan.Definition.Runs[2]).Status);

        Recorder again = new(Fail);
        Assert.True(await Run(plan, again));
        Assert.EndsWith("002-learningRate-2e-3", Assert.Single(again.Trained).Directory);
    }

    [Fact]
    public async Task Two_jobs_train_two_runs_at_once()
    {
        using Barrier both = new(2);
        Recorder worker = new((_, _, _) => new WorkerResult(!both.SignalAndWait(TimeSpan.FromSeconds(20))));
        Assert.True(await Run(Plan(["optimizer.learningRate=1e-3,2e-3"]), worker, jobs: 2));
    }

    [Fact]
    public async Task Another_sweep_in_the_directory_is_refused_with_what_differs()
    {
        Recorder worker = new((_, _, _) => new WorkerResult(Stopped: false));
        await Run(Plan(["optimizer.learningRate=1e-3,2e-3"]), worker);

        string message = await Refusal(Plan(["optimizer.learningRate=1e-3"]), worker);
        Assert.Contains("--set was optimizer.learningRate=1e-3,2e-3 and is optimizer.learningRate=1e-3 now", message);

        Recipe changed = tiny.Recipe with { Training = tiny.Recipe.Training with { GradientClip = 2 } };
        File.WriteAllText(file, ConfigurationJson.Serialize(changed));
        message = await Refusal(Plan(["optimizer.learningRate=1e-3,2e-3"]), worker);
        Assert.Contains("001-learningRate-1e-3: training.gradientClip was 1 and is 2 now", message);
    }

    [Fact]
    public async Task One_sweep_at_a_time_and_nothing_else_is_in_a_directory()
    {
        Recorder worker = new((_, _, _) => new WorkerResult(Stopped: false));
        SweepPlan plan = Plan(["optimizer.learningRate=1e-3,2e-3"]);
        using (DirectoryLock.Take(plan.Directory, "taken"))
        {
            Assert.True(DirectoryLock.IsHeld(plan.Directory));
            Assert.Contains("another process is running a sweep", await Refusal(plan, worker));
        }
        Assert.False(DirectoryLock.IsHeld(plan.Directory));
        File.WriteAllText(Path.Combine(plan.Directory, "notes.txt"), "");
        Assert.Contains("it holds something else than a sweep", await Refusal(plan, worker));
    }

    private async Task<string> Refusal(SweepPlan plan, Recorder worker) =>
        (await Assert.ThrowsAsync<UserException>(() => Run(plan, worker))).Message;

    private SweepPlan Plan(string[] settings, int? halving = null, string name = "sweep") => SweepPlan.Create(
        new SweepRequest(file, settings) { Directory = tiny.RunPath(name), Halving = halving });

    private Task<bool> Run(
        SweepPlan plan, Recorder worker, CancellationToken stop = default, int jobs = 1, IProgress<string>? progress = null) =>
        new SweepRunner(plan, jobs, worker, progress ?? new Progress<string>()).Run(Path.Combine(tiny.Root, "datasets"), stop);

    private WorkerResult Train(string directory, long until, CancellationToken stop)
    {
        Recipe recipe = Recipe.Load(Path.Combine(directory, "config.json"));
        using StopSignal never = new();
        TrainingSession.Run(
            new TrainingRequest(recipe, directory, Resume: true, Path.Combine(tiny.Root, "datasets")) { Until = until },
            run => RunMonitor.Open(recipe.Monitoring, run, directory, new RecordingSink()), new Progress<string>(), never);
        return new WorkerResult(Stopped: false);
    }

    private static byte[] Weights(string run) => File.ReadAllBytes(Path.Combine(run, "checkpoints", "step-00000012", "model.safetensors"));

    private sealed class Lines(List<string> told) : IProgress<string>
    {
        public void Report(string value) => told.Add(value);
    }

    private sealed class Recorder(Func<string, long, CancellationToken, WorkerResult> train) : ISweepWorker
    {
        public ConcurrentQueue<(string Directory, long Until)> Trained { get; } = [];

        public Task<WorkerResult> Train(string directory, long until, CancellationToken stop)
        {
            Trained.Enqueue((directory, until));
            return Task.Run(() => train(directory, until, stop), CancellationToken.None);
        }
    }
}
