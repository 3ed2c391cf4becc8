using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Models;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

public sealed class CheckpointTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public CheckpointTests() => tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 6 } };

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void It_holds_the_model_that_was_trained()
    {
        using PreparedData data = tiny.Prepare();
        using TrainState training = tiny.NewState(data);
        training.TakeStep(1e-3);
        string directory = new CheckpointStore(Path.Combine(tiny.RunPath(), "checkpoints")).DirectoryOf(1);
        using CheckpointWriter writer = new(tiny.Store(), tiny.Recipe, data.Tokenizer, [], _ => { });
        writer.Save(training, training.Tensors(), isBest: false);
        writer.Finish();

        Checkpoint checkpoint = Checkpoint.Open(directory);
        using LanguageModel model = checkpoint.LoadModel(CPU);

        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = inference_mode();
        Tensor tokens = arange(0, TinyRun.Context, dtype: ScalarType.Int64).unsqueeze(0);
        training.Model.eval();
        Assert.Equal(training.Model.call(tokens).data<float>().ToArray(), model.call(tokens).data<float>().ToArray());
        Assert.Equal(1, checkpoint.LoadState().Step);
        Assert.Equal(ConfigurationJson.Serialize(tiny.Recipe),
            ConfigurationJson.Serialize(Recipe.Load(Path.Combine(directory, CheckpointFiles.Configuration))));
        Assert.Equal("byte", checkpoint.Tokenizer.Type);
    }

    [Fact]
    public void Blocks_of_8_bits_are_for_the_cpu()
    {
        tiny.Train();
        Checkpoint checkpoint = Checkpoint.Open(tiny.RunPath());
        string message = Assert.Throws<UserException>(
            () => checkpoint.LoadModel(new Device(DeviceType.CUDA, 0), InferencePrecision.Int8)).Message;
        Assert.Equal("int8 is for the CPU, and the device is cuda:0; use --precision bfloat16 there, or --device cpu", message);
    }

    [Fact]
    public void A_path_may_name_a_checkpoint_a_run_or_one_of_its_pointers()
    {
        tiny.Train();
        CheckpointStore store = tiny.Store();
        store.MarkBest(5);
        string inRun = Path.Combine(tiny.RunPath(), "checkpoints");

        Assert.Equal(store.DirectoryOf(6), Checkpoint.Open(store.DirectoryOf(6) + "/").Directory.TrimEnd('/'));
        Assert.Equal(store.DirectoryOf(5), Checkpoint.Open(tiny.RunPath()).Directory);
        Assert.Equal(store.DirectoryOf(5), Checkpoint.Open(Path.Combine(inRun, "best")).Directory);
        Assert.Equal(store.DirectoryOf(6), Checkpoint.Open(Path.Combine(inRun, "last")).Directory);
        store.MarkBest(null);
        Assert.Equal(store.DirectoryOf(6), Checkpoint.Open(tiny.RunPath()).Directory);
    }

    [Fact]
    public void A_path_that_names_none_says_so()
    {
        string empty = Directory.CreateDirectory(Path.Combine(tiny.Root, "empty")).FullName;

        Assert.Equal("/no/such: there is no such checkpoint or run directory",
            Assert.Throws<UserException>(() => Checkpoint.Open("/no/such")).Message);
        Assert.StartsWith($"{empty}: there is no checkpoint in this directory; ",
            Assert.Throws<UserException>(() => Checkpoint.Open(empty)).Message);
        Assert.StartsWith($"{tiny.TextPath}: it is a file that names no checkpoint; ",
            Assert.Throws<UserException>(() => Checkpoint.Open(tiny.TextPath)).Message);
    }

    [Fact]
    public void Damage_is_found_before_anything_is_loaded()
    {
        tiny.Train();
        string path = Path.Combine(tiny.Store().DirectoryOf(6), "model.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        bytes[^3] ^= 1;
        File.WriteAllBytes(path, bytes);

        Assert.StartsWith($"{path}: its SHA-256 is ",
            Assert.Throws<UserException>(() => Checkpoint.Open(tiny.Store().DirectoryOf(6))).Message);
    }
}
