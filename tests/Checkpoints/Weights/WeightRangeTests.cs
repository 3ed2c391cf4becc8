using TorchSharp;
using Trainer.Checkpoints.Gguf;
using Trainer.Checkpoints.HuggingFace;
using Trainer.Checkpoints.Tests.Gguf;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests.Weights;

/// <summary>Numbers that a type does not hold are refused; nothing is written then.</summary>
public sealed class WeightRangeTests : IDisposable
{
    private const string Native = "blocks.1.feedForward.down.weight";
    private const string External = "model.layers.1.mlp.down_proj.weight", Ggml = "blk.1.ffn_down.weight";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(ScalarType.Float16, 70000f, " holds 70000, and float16 ends at 65504: it would become infinity; use --type bf16 or f32")]
    [InlineData(ScalarType.Float16, -65520f, " holds -65520, and float16 ends at 65504: it would become infinity; use --type bf16 or f32")]
    [InlineData(ScalarType.BFloat16, 3.4e38f,
        " holds 3.4E+38, and bfloat16 ends at 3.389531E+38: it would become infinity; use --type f32")]
    [InlineData(ScalarType.Float32, float.NaN,
        " holds NaN: with it the model computes nothing but NaN, here and in other programs; export a checkpoint from before that")]
    [InlineData(ScalarType.BFloat16, float.NegativeInfinity,
        " holds -infinity: with it the model computes nothing but NaN, here and in other programs; export a checkpoint from before that")]
    public void A_tensor_of_Hugging_Face_s_is_named(ScalarType type, float number, string message)
    {
        Assert.Equal(External + message, Assert.Throws<UserException>(() => HuggingFace(number, type)).Message);
        Assert.Equal(["ours.safetensors"], Directory.EnumerateFileSystemEntries(folder.Root).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData(GgufType.F16, -7e7f, " holds -7E+07, and float16 ends at 65504: it would become infinity; use --type bf16 or f32")]
    [InlineData(GgufType.Q8_0, 1e7f, " holds 1E+07, and q8_0 ends at 8319008: it would become infinity; use --type bf16 or f32")]
    [InlineData(GgufType.Q8_0, float.NaN,
        " holds NaN: with it the model computes nothing but NaN, here and in other programs; export a checkpoint from before that")]
    public void A_tensor_of_llama_cpp_s_is_named(GgufType type, float number, string message)
    {
        Assert.Equal(Ggml + message, Assert.Throws<UserException>(() => Gguf(number, type)).Message);
        Assert.Equal(["ours.safetensors"], Directory.EnumerateFileSystemEntries(folder.Root).Select(Path.GetFileName));
    }

    [Theory]
    [InlineData(ScalarType.Float16, 65519f, 65504f)]
    [InlineData(ScalarType.BFloat16, 70000f, 70144f)]
    [InlineData(ScalarType.Float32, -3.4e38f, -3.4e38f)]
    public void What_is_rounded_to_a_finite_number_is_written(ScalarType type, float number, float written)
    {
        HuggingFace(number, type);
        using WeightFiles files = WeightFiles.OpenDirectory(folder.PathOf("out"));
        using Tensor tensor = files.Read(External);
        Assert.Equal(written, tensor.to_type(ScalarType.Float32).data<float>().ToArray()[5]);
    }

    [Fact]
    public void Vectors_of_llama_cpp_stay_float32_and_may_be_large()
    {
        Gguf(1e6f, GgufType.F16, "blocks.1.mixerNorm.weight");
        Assert.Equal(1e6f, new GgufReader(File.ReadAllBytes(folder.PathOf("model.gguf"))).Tensors["blk.1.attn_norm.weight"].Numbers[5]);
        Gguf(8e6f, GgufType.Q8_0, "blocks.1.mixer.output.weight");
    }

    private void HuggingFace(float number, ScalarType type) =>
        With(Native, number, source => HuggingFaceExport.Write(source, folder.PathOf("out"), type));

    private void Gguf(float number, GgufType type, string tensor = Native) =>
        With(tensor, number, source => GgufExport.Write(source, folder.PathOf("model.gguf"), type));

    /// <summary>A llama with this number in one of its tensors.</summary>
    private void With(string tensor, float number, Action<ExportSource> export)
    {
        using DisposeScope scope = NewDisposeScope();
        using HuggingFaceImport source = Goldens.Open("llama");
        // A width that blocks of 32 divide.
        var model = source.Options with { VocabularySize = 40, FeedForward = source.Options.FeedForward with { HiddenDim = 64 } };
        using (var built = model.Build(40))
        {
            using var gradients = no_grad();
            var state = built.state_dict();
            state[tensor].view(-1).narrow(0, 5, 1).fill_(number);
            Safetensors.Write(folder.PathOf("ours.safetensors"), state.Select(entry => (entry.Key, entry.Value)));
        }
        using WeightFiles weights = WeightFiles.OpenFile(folder.PathOf("ours.safetensors"));
        export(new("large", model, source.Tokenizer, weights, source.Companions));
    }
}
