using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Transformers.Tests;

/// <summary>A model that is built for inference in bfloat16 has no float32 matrices, and computes what the one with both computes.</summary>
public sealed class InferenceModelTests
{
    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["gpt"] = Models.Gpt with { Bias = true },
        ["llama"] = Models.Llama,
        ["latent"] = Models.Variant("latent", "rotary"),
        ["wide latent"] = Models.Variant("latent-wide-values", "rotary"),
        ["t5 positions"] = Models.Variant("multi-head", "t5"),
        ["hybrid"] = Models.Hybrid,
        ["experts"] = Models.Llama with { FeedForward = Models.FeedForwards["experts"] },
        ["experts, some shared"] = Models.Llama with { FeedForward = Models.FeedForwards["experts-shared"] },
        ["encoder"] = Models.Encoder,
        ["encoder-decoder"] = Models.EncoderDecoder,
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

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

        Assert.True(full.forward(input).Equals(lean.forward(input)));
        if (full.Generates)
        {
            Tensor expected = OneByOne(full, input);
            // Latent attention multiplies its up-projection into the queries in float32, as it finds it.
            double tolerance = kind.Contains("latent") ? 0.01 * expected.abs().max().item<float>() : 0;
            Assert.InRange(Models.LargestDifference(expected, OneByOne(lean, input)), 0, tolerance);
        }
        Assert.Contains(lean.named_parameters(), entry => entry.parameter.dtype == ScalarType.BFloat16 && !entry.parameter.requires_grad);
        Assert.All(lean.named_parameters().Where(entry => entry.parameter.dim() < 2 || entry.name.StartsWith("embedding")), entry => Assert.Equal(ScalarType.Float32, entry.parameter.dtype));
    }

    private static Tensor OneByOne(LanguageModel model, ModelInput input)
    {
        using DecodingState state = model.NewDecodingState(2, 8, input.Source);
        Tensor logits = model.NextLogits(input.Tokens.narrow(1, 0, 3), state);
        for (int place = 3; place < 8; place++) logits = model.NextLogits(input.Tokens.narrow(1, place, 1), state);
        return logits;
    }
}
