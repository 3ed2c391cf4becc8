using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests;

public class TextEmbedderTests
{
    [Theory]
    [InlineData(Pooling.Mean)]
    [InlineData(Pooling.First)]
    [InlineData(Pooling.Last)]
    [InlineData(Pooling.Mean, AttentionKernel.Linear)] // which cannot mask padding
    public void Texts_side_by_side_have_the_vectors_they_have_alone(Pooling pooling, AttentionKernel kernel = AttentionKernel.Auto)
    {
        using LanguageModel model = Encoder(kernel);
        TextEmbedder embedder = new(model, ByteTokenizer.Instance, CPU, pooling, normalize: true);
        string[] texts = ["a", "longer text", "middle", "b"];
        var together = embedder.Embed(texts);
        for (int i = 0; i < texts.Length; i++)
        {
            float[] alone = embedder.Embed([texts[i]])[0];
            Assert.Equal(1, alone.Sum(x => x * x), 1e-4);
            TensorAssert.Equal(alone, together[i], 1e-4, texts[i]);
        }
        Assert.NotEqual(together[0], together[3]);
    }

    [Fact]
    public void A_text_that_is_empty_or_too_long_is_refused()
    {
        using LanguageModel model = Encoder();
        TextEmbedder embedder = new(model, ByteTokenizer.Instance, CPU, Pooling.Mean);
        Assert.Contains("a text is empty", Assert.Throws<UserException>(() => embedder.Embed([""])).Message);
        Assert.Contains(
            "a text has 13 tokens, but the model's context holds 12",
            Assert.Throws<UserException>(() => embedder.Embed(["0123456789abc"])).Message);
    }

    [Theory]
    [InlineData(Pooling.First, 0)]
    [InlineData(Pooling.Last, 3)]
    public void The_tokenizer_s_special_tokens_are_embedded_and_counted(Pooling pooling, int place)
    {
        using LanguageModel model = Encoder();
        TextEmbedder embedder = new(model, TinyTokenizer.Words(framed: true), CPU, pooling);
        float[] vector = embedder.Embed(["a cat"], out int tokens)[0];
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = inference_mode();
        Tensor states = model.Hidden(tensor([1L, 4, 5, 2]).view(1, 4)).select(1, place); // (B, C)
        TensorAssert.Equal(states.data<float>().ToArray(), vector, 1e-4);
        Assert.Equal(4, tokens);
    }

    private static LanguageModel Encoder(AttentionKernel kernel = AttentionKernel.Auto)
    {
        manual_seed(3);
        return new EncoderOptions
        {
            Dim = 16, Layers = 2, ContextLength = 12, Attention = new MultiHeadOptions { Heads = 2, Kernel = kernel },
        }.Build(256);
    }
}
