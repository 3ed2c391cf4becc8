using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

public sealed class CheckpointAverageTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public CheckpointAverageTests()
    {
        tiny.Recipe = tiny.Recipe with { Checkpoint = tiny.Recipe.Checkpoint with { Every = 3 } };
        tiny.Train();
    }

    [Fact]
    public void Its_weights_are_the_mean_of_the_checkpoint_and_those_before_it()
    {
        using DisposeScope scope = NewDisposeScope();
        string output = Path.Combine(tiny.Root, "mean");
        Checkpoint last = Checkpoint.Open(tiny.Store().DirectoryOf(9));

        ConversionReport report = CheckpointConversion.Run(last, output, new() { Average = 3 });

        Assert.Equal(tiny.Store().Steps.Where(step => step <= 9).TakeLast(3).Select(tiny.Store().DirectoryOf), report.Averaged);
        SafetensorsFile[] files = [.. report.Averaged.Select(directory => SafetensorsFile.Open(Path.Combine(directory, "model.safetensors")))];
        using SafetensorsFile mean = SafetensorsFile.Open(Path.Combine(output, "model.safetensors"));
        foreach (string name in mean.Names)
        {
            double[][] parts = [.. files.Select(file => file.Read(name).to(ScalarType.Float64).reshape(-1).data<double>().ToArray())];
            float[] expected = [.. Enumerable.Range(0, parts[0].Length).Select(i => (float)((parts[0][i] + parts[1][i] + parts[2][i]) / 3))];
            Assert.Equal(expected, mean.Read(name).reshape(-1).data<float>().ToArray());
        }
        foreach (SafetensorsFile file in files) file.Dispose();
        using Trainer.Models.LanguageModel model = Checkpoint.Open(output).LoadModel(CPU);
    }

    [Theory]
    [InlineData(6, "has 3 checkpoints up to step 6, and 7 are to be averaged (3, 4, 6): give --average 3, a later checkpoint, or let")]
    [InlineData(3, "has 1 checkpoint up to step 3, and 7 are to be averaged (3): give a later checkpoint, or let runs keep more")]
    public void More_than_there_are_are_refused_with_those_that_are_there(long step, string message)
    {
        var error = Assert.Throws<UserException>(() => CheckpointConversion.Run(
            Checkpoint.Open(tiny.Store().DirectoryOf(step)), Path.Combine(tiny.Root, "mean"), new() { Average = 7 }));

        Assert.Contains(message, error.Message);
        Assert.False(Directory.Exists(Path.Combine(tiny.Root, "mean")));
    }

    [Fact]
    public void A_checkpoint_of_no_run_has_none_before_it()
    {
        string output = Path.Combine(tiny.Root, "mean");
        CheckpointConversion.Run(Checkpoint.Open(tiny.Store().DirectoryOf(9)), output, new() { Average = 2 });

        var error = Assert.Throws<UserException>(
            () => CheckpointConversion.Run(Checkpoint.Open(output), output + "2", new() { Average = 2 }));

        Assert.Contains("it is no checkpoint of a run", error.Message);
    }

    public void Dispose() => tiny.Dispose();
}
