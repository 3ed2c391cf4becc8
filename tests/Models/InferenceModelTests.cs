using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>A model that is built for inference in bfloat16 or int8 has no float32 matrices, and computes what the one with both
/// computes.</summary>
public sealed class InferenceModelTests
{
    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["gpt"] = Models.Gpt with { Bias = true },
        ["llama"] = Models.Llama,
        ["latent"] = Models.Variant("latent", "rotary"),
        ["wide latent"] = Models.Variant("latent-wide-values", "rotary"),
        ["differential"] = Models.Variant("differential", "rotary"),
        ["t5 positions"] = Models.Variant("multi-head", "t5"),
        ["hybrid"] = Models.Hybrid,
        ["experts"] = Models.Llama with { FeedForward = Models.FeedForwards["experts"] },
        ["experts, some shared"] = Models.Llama with { FeedForward = Models.FeedForwards["experts-shared"] },
        ["encoder"] = Models.Encoder,
        ["encoder-decoder"] = Models.EncoderDecoder,
    };

    // Rows of 32 numbers and multiples of it everywhere.
    private static readonly Dictionary<string, ModelOptions> Wide = new()
    {
        ["gpt"] = Models.Gpt with { Dim = 64, Bias = true },
        ["llama"] = Models.Llama with { Dim = 64 },
        ["latent"] =
            Models.Llama with { Dim = 64, Attention = new LatentOptions { Heads = 4, RopeDim = 4, KeyValueRank = 32, QueryRank = 64 } },
        ["t5 positions"] = Models.Variant("multi-head", "t5") with { Dim = 64 },
        ["hybrid"] = Models.Hybrid with { Dim = 64 },
        ["experts"] = Models.Llama with { Dim = 64,
            FeedForward = (ExpertsOptions)Models.FeedForwards["experts"] with { HiddenDim = 32, Bias = true } },
        ["encoder"] = Models.Encoder with { Dim = 64 },
        ["encoder-decoder"] = Models.EncoderDecoder with { Dim = 64 },
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    public static TheoryData<string> WideNames => [.. Wide.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void In_bfloat16_it_computes_what_rounded_copies_compute(string kind)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(4);
        using LanguageModel full = Kinds[kind].Build(Models.Vocabulary, ScalarType.BFloat16);
        full.eval();
        using LanguageModel lean = Kinds[kind].BuildForInference(Models.Vocabulary, ScalarType.BFloat16);
        using (no_grad())
            foreach ((string name, Tensor value) in full.state_dict()) lean.state_dict()[name].copy_(value);
        ModelInput input = new(Models.Tokens(2, 8)) { Source = kind == "encoder-decoder" ? new ModelInput(Models.Tokens(2, 5)) : null };

        TensorAssert.Same(full.forward(input), lean.forward(input));
        if (full.Generates) TensorAssert.Same(OneByOne(full, input), OneByOne(lean, input));
        Assert.Contains(lean.named_parameters(), entry => entry.parameter.dtype == ScalarType.BFloat16 && !entry.parameter.requires_grad);
        Assert.All(
            lean.named_parameters().Where(entry => entry.parameter.dim() < 2 || entry.name.StartsWith("embedding")),
            entry => Assert.Equal(ScalarType.Float32, entry.parameter.dtype));
    }

    [Theory]
    [MemberData(nameof(WideNames))]
    public void In_int8_it_computes_what_the_numbers_of_its_blocks_compute(string kind)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = inference_mode();
        manual_seed(4);
        using LanguageModel full = Wide[kind].Build(Models.Vocabulary);
        full.eval();
        using LanguageModel lean = Wide[kind].BuildForInference(Models.Vocabulary, ScalarType.Int8);
        foreach ((string name, Tensor value) in full.state_dict())
        {
            Tensor target = lean.state_dict()[name];
            // Latent attention reads its up-projection elsewhere, too; blocks of what blocks stand for are the same blocks.
            if (target.dtype == ScalarType.Int8 || name.Contains("keyValueUp"))
                value.copy_(BlockQuantization.Unpack(BlockQuantization.Pack(value)));
            target.copy_(target.dtype == ScalarType.Int8 ? BlockQuantization.Pack(value) : value);
        }
        ModelInput input = new(Models.Tokens(2, 8)) { Source = kind == "encoder-decoder" ? new ModelInput(Models.Tokens(2, 5)) : null };

        TensorAssert.Close(full.forward(input), lean.forward(input), 1e-4);
        if (full.Generates) TensorAssert.Close(OneByOne(full, input), OneByOne(lean, input), 1e-4);
        Assert.Contains(lean.named_parameters(), entry => entry.parameter.dtype == ScalarType.Int8 && !entry.parameter.requires_grad);
        Assert.Equal(ScalarType.Int8, lean.state_dict()["embedding.weight"].dtype);
    }

    [Fact]
    public void Rows_that_are_no_blocks_are_an_error_that_names_them()
    {
        string message = Assert.Throws<UserException>(() => Models.Llama.BuildForInference(Models.Vocabulary, ScalarType.Int8)).Message;
        Assert.Contains("int8 holds matrices in blocks of 32 numbers, and this model has one with rows of 16; use bfloat16", message);
        Assert.Throws<ArgumentException>(() => Models.Llama.Build(Models.Vocabulary, ScalarType.Int8));
    }

    private static Tensor OneByOne(LanguageModel model, ModelInput input, int first = 3)
    {
        using DecodingState state = model.NewDecodingState(2, 8, input.Source);
        Tensor logits = model.NextLogits(input.Tokens.narrow(1, 0, first), state);
        for (int place = first; place < 8; place++) logits = model.NextLogits(input.Tokens.narrow(1, place, 1), state);
        return logits;
    }
}
