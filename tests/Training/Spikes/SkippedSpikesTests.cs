using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Training.Spikes;
using Trainer.Training.Tests.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Spikes;

public sealed class SkippedSpikesTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public SkippedSpikesTests() => Use(new SpikeOptions { Deviations = 6, Window = 8 });

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void A_spike_changes_nothing_and_is_counted_apart_from_steps_that_are_not_finite()
    {
        using TrainState state = tiny.NewState();
        for (int i = 0; i < 6; i++) state.TakeStep(1e-3);
        Assert.Null(state.Spike);
        Parameter norm = state.Model.named_parameters().Single(p => p.name == "norm.weight").parameter;
        using Tensor sound = norm.detach().clone();
        float[][] before = State(state, except: norm);

        using (no_grad()) norm.mul_(300);
        state.TakeStep(1e-3);

        Assert.Equal(before, State(state, except: norm));
        Assert.NotNull(state.Spike);
        Assert.Equal(1, state.SkippedSpikes);
        Assert.Equal((0, 7L), (state.Read().Skipped, state.Step));

        using (no_grad()) norm.copy_(sound);
        state.TakeStep(1e-3);
        Assert.Null(state.Spike);
        Assert.Equal(1, state.SkippedSpikes);
        Assert.NotEqual(before, State(state, except: norm));
    }

    [Fact]
    public void A_run_without_spikes_is_the_same_bit_for_bit_whether_it_looks_for_them_or_not()
    {
        TrainingResult watched = tiny.Train("watched");
        Use(null);
        TrainingResult plain = tiny.Train("plain");

        Assert.Equal(plain.BestLoss, watched.BestLoss);
        Assert.Equal(Weights("plain", 12), Weights("watched", 12));
    }

    [Fact]
    public void A_resumed_run_skips_what_the_run_would_have_skipped()
    {
        // So tight that several of the twelve steps are spikes.
        Use(new SpikeOptions { Deviations = 0.8, Window = 4 });
        Slow(1e-5);
        RecordingSink whole = new();
        tiny.Train("whole", sink: whole);
        Assert.InRange(whole.Steps[^1].SpikeSteps!.Value, 1, 8);
        Assert.Contains(whole.Messages, line => line.StartsWith("step ") && line.Contains(" is skipped: its "));

        using StopSignal stop = new();
        RecordingSink first = new() { OnStep = step => { if (step.Step == 7) stop.Request(); } };
        tiny.Train("parts", sink: first, stop: stop);
        RecordingSink second = new();
        tiny.Train("parts", resume: true, sink: second);

        Assert.Equal(
            whole.Steps.Select(step => (step.Loss, step.GradientNorm, step.SpikeSteps)),
            first.Steps.Concat(second.Steps).Select(step => (step.Loss, step.GradientNorm, step.SpikeSteps)));
        Assert.Equal(Weights("whole", 12), Weights("parts", 12));
    }

    [Fact]
    public void Ranks_skip_the_same_steps()
    {
        Use(new SpikeOptions { Deviations = 1, Window = 4 });
        tiny.Recipe = tiny.Recipe with { Model = tiny.Recipe.Model with { Dropout = 0 } };
        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        long[][] ranks = ThreadRanks.Run(2, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state)
            {
                List<long> skipped = [];
                for (int i = 0; i < 12; i++)
                {
                    state.TakeStep(1e-5);
                    if (state.Spike is not null) skipped.Add(state.Step);
                }
                return skipped.ToArray();
            }
        });
        Assert.NotEmpty(ranks[0]);
        Assert.Equal(ranks[0], ranks[1]);
    }

    private void Slow(double rate) => tiny.Recipe = tiny.Recipe with
    {
        Optimizer = tiny.Recipe.Optimizer with { LearningRate = rate },
        Schedule = new ConstantSchedule(),
    };

    private void Use(SpikeOptions? spikes) =>
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Spikes = spikes } };

    private byte[] Weights(string run, long step) =>
        File.ReadAllBytes(Path.Combine(tiny.Store(run).DirectoryOf(step), CheckpointFiles.Model));

    private static float[][] State(TrainState training, Tensor except) =>
    [
        .. training.Model.parameters().Where(p => !ReferenceEquals(p, except)).Select(p => p.data<float>().ToArray()),
        .. training.Optimizer.State.Select(state => state.Value.data<float>().ToArray()),
    ];
}
