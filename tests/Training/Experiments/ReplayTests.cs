using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Training.Experiments;

namespace Trainer.Training.Tests.Experiments;

public sealed class ReplayTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly RecordingSink recorded = new();

    public ReplayTests() => tiny.Train(sink: recorded);

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(10)]
    public void Steps_taken_again_are_the_runs_own_bit_for_bit(long step)
    {
        RecordedRun run = RecordedRun.Open(tiny.RunPath());
        using Replay replay = Replay.Begin(
            run.RecipeAfter(step), run.CheckpointAtOrBefore(step), Path.Combine(tiny.Root, "datasets"), new Progress<string>());

        while (replay.State.Step < 12)
        {
            StepFigures.Reading figures = replay.TakeStep();
            var metrics = recorded.Steps.Single(record => record.Step == replay.State.Step);
            Assert.Equal((metrics.Loss, metrics.GradientNorm), (figures.Loss, figures.GradientNorm));
        }

        using SafetensorsFile saved = SafetensorsFile.Open(Path.Combine(run.Checkpoints.DirectoryOf(12), CheckpointFiles.Model));
        foreach ((string name, torch.Tensor value) in ModelWeights.Of(replay.State.Model))
        {
            using torch.Tensor expected = saved.Read(name);
            Assert.True(expected.bytes.SequenceEqual(value.bytes), name);
        }
    }

    [Fact]
    public void Advancing_takes_the_same_steps()
    {
        RecordedRun run = RecordedRun.Open(tiny.RunPath());
        using Replay replay = Replay.Begin(
            run.RecipeAfter(5), run.CheckpointAt(5), Path.Combine(tiny.Root, "datasets"), new Progress<string>());
        replay.AdvanceTo(9);
        Assert.Equal((9, recorded.Steps[8].Loss), (replay.State.Step, replay.State.Read().Loss));
    }

    [Fact]
    public void A_checkpoint_that_is_not_kept_is_answered_with_those_that_are()
    {
        string message = Assert.Throws<UserException>(() => RecordedRun.Open(tiny.RunPath()).CheckpointAt(7)).Message;
        Assert.StartsWith($"{tiny.RunPath()}: no checkpoint of step 7 is kept; there are those of 4, 5, 8, 10, 12. A run keeps the " +
            "newest checkpoint.keep (100) of those that checkpoint.every (5) makes", message);
    }

    [Fact]
    public void What_is_no_run_is_refused()
    {
        Assert.StartsWith("/no/such: there is no such run directory", Refusal("/no/such"));
        Assert.StartsWith($"{tiny.Root}: it is not a run directory", Refusal(tiny.Root));
        Assert.StartsWith($"{tiny.Store().DirectoryOf(5)}: it is one checkpoint of a run", Refusal(tiny.Store().DirectoryOf(5)));

        static string Refusal(string path) => Assert.Throws<UserException>(() => RecordedRun.Open(path)).Message;
    }

    [Fact]
    public void The_recipe_of_steps_is_that_of_the_next_checkpoint()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 14, GradientClip = 0.5 } };
        tiny.Train(resume: true);
        RecordedRun run = RecordedRun.Open(tiny.RunPath());
        Assert.Equal((1.0, 0.5), (run.RecipeAfter(10).Training.GradientClip, run.RecipeAfter(12).Training.GradientClip));
    }
}
