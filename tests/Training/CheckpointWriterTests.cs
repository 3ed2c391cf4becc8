using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Tests;

namespace Trainer.Training.Tests;

/// <summary>Checkpoints written while training goes on.</summary>
public sealed class CheckpointWriterTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly PreparedData data;
    private readonly List<string> told = [];

    public CheckpointWriterTests() => data = tiny.Prepare();

    public void Dispose()
    {
        data.Dispose();
        tiny.Dispose();
    }

    [Fact]
    public void A_checkpoint_is_of_the_moment_of_saving_whatever_is_trained_meanwhile()
    {
        Dictionary<string, byte[]> waited = Saved("waited", background: false), meanwhile = Saved("meanwhile", background: true);
        foreach (string file in (string[])[CheckpointFiles.Model, CheckpointFiles.Optimizer, CheckpointFiles.State])
            Assert.Equal(waited[file], meanwhile[file]);
    }

    [Fact]
    public void One_is_written_at_a_time_and_all_are_told_of_in_order()
    {
        using TrainState training = tiny.NewState(data);
        Finalizers.Run();
        long before = LiveTensors.Count();
        using (CheckpointWriter writer = Writer("run", background: true, keep: 1))
        {
            for (int step = 0; step < 4; step++)
            {
                training.TakeStep(1e-3);
                writer.Save(training, training.Tensors(), isBest: step == 1);
            }
            writer.Finish();
        }

        CheckpointStore store = tiny.Store();
        Assert.Equal(["step-00000001", "step-00000002, the best so far", "step-00000003", "step-00000004"],
            told.Select(line => Path.GetFileName(line)));
        Assert.Equal([2, 4], store.Steps);
        Assert.Equal((2L, 4L), (store.Best, store.Last));
        GC.KeepAlive(training);
        int parameters = training.Model.parameters().Count();
        Assert.InRange(LiveTensors.Count() - before, 0, 2 * parameters); // gradients, but none of the copies: three of each for every checkpoint
    }

    [Fact]
    public void A_failure_is_heard_of_by_the_one_who_follows_and_the_next_may_succeed()
    {
        using TrainState training = tiny.NewState(data);
        training.TakeStep(1e-3);
        string checkpoints = Path.Combine(tiny.RunPath(), "checkpoints");
        Directory.CreateDirectory(tiny.RunPath());
        File.WriteAllText(checkpoints, "in the way");
        using CheckpointWriter writer = Writer("run", background: true);

        writer.Save(training, training.Tensors(), isBest: false);
        UserException failure = Assert.Throws<UserException>((Action)(() =>
        {
            for (int again = 0; again < 1000; again++)
            {
                writer.ReportFinished();
                Thread.Sleep(10);
            }
        }));
        Assert.StartsWith($"{checkpoints}/step-00000001: the checkpoint could not be saved: ", failure.Message);
        Assert.Empty(told);

        File.Delete(checkpoints);
        writer.Save(training, training.Tensors(), isBest: false);
        writer.Finish();
        Assert.Single(told);
    }

    [Fact]
    public void A_large_copy_is_not_made_unless_it_is_asked_for()
    {
        Assert.True(new CheckpointOptions().InBackground(1L << 30));
        Assert.False(new CheckpointOptions().InBackground((1L << 30) + 1));
        Assert.True(new CheckpointOptions { Background = true }.InBackground(1L << 40));
        Assert.False(new CheckpointOptions { Background = false }.InBackground(1));
    }

    private Dictionary<string, byte[]> Saved(string name, bool background)
    {
        using TrainState training = tiny.NewState(data);
        training.TakeStep(1e-3);
        using CheckpointWriter writer = Writer(name, background);
        writer.Save(training, training.Tensors(), isBest: false);
        for (int step = 0; step < 3; step++) training.TakeStep(1e-3);
        writer.Finish();
        return Directory.GetFiles(tiny.Store(name).DirectoryOf(1)).ToDictionary(path => Path.GetFileName(path), File.ReadAllBytes);
    }

    private CheckpointWriter Writer(string name, bool background, int keep = 100) =>
        new(tiny.Store(name), tiny.Recipe with { Checkpoint = new CheckpointOptions { Background = background, Keep = keep } },
            data.Tokenizer, [], told.Add);
}
