using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Weights that were saved in float32, read for inference: as they are, or rounded on the way.</summary>
public sealed class InferenceWeightsTests : IDisposable
{
    // More numbers in the embedding than are read at once.
    private const int Vocabulary = 70_000;
    private readonly TemporaryDirectory directory = new();
    private readonly DecoderOptions options =
        new() { Dim = 64, Layers = 1, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 2 } };

    public void Dispose() => directory.Dispose();

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void It_computes_what_the_model_computed_that_was_saved(ScalarType type)
    {
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        string path = Path.Combine(directory.Path, "model.safetensors");
        using LanguageModel saved = options.Build(Vocabulary, type);
        saved.eval();
        ModelWeights.Save(saved, path);
        using LanguageModel read = options.BuildForInference(Vocabulary, type);
        ModelWeights.Load(read, path);
        Tensor tokens = randint(0, Vocabulary, [2, 16], ScalarType.Int64);
        TensorAssert.Same(saved.forward(tokens), read.forward(tokens));
    }

    [Fact]
    public void In_int8_its_matrices_are_blocks_of_what_was_saved()
    {
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        string path = Path.Combine(directory.Path, "model.safetensors");
        using LanguageModel saved = (options with { TieEmbeddings = false }).Build(Vocabulary);
        ModelWeights.Save(saved, path);
        using LanguageModel read = (options with { TieEmbeddings = false }).BuildForInference(Vocabulary, ScalarType.Int8);
        ModelWeights.Load(read, path);
        var weights = saved.state_dict();
        foreach ((string name, Tensor value) in read.state_dict())
            TensorAssert.Same(
                value.dtype == ScalarType.Int8 ? BlockQuantization.Pack(weights[name].detach()) : weights[name], value, name);
        Assert.Equal(ScalarType.Int8, read.state_dict()["head.weight"].dtype);
    }

    [Fact]
    public void Another_shape_is_named_in_numbers_not_in_bytes()
    {
        using TorchSharp.DisposeScope scope = NewDisposeScope();
        string path = Path.Combine(directory.Path, "model.safetensors");
        using LanguageModel saved = options.Build(8);
        ModelWeights.Save(saved, path);
        using LanguageModel read = (options with { Dim = 32 }).BuildForInference(8, ScalarType.Int8);
        Assert.Contains("is [64, 64] in the file, [32, 32] here",
            Assert.Throws<UserException>(() => ModelWeights.Load(read, path)).Message);
    }
}
