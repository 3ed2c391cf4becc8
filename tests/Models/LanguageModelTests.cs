using TorchSharp;
using Trainer.Kernels;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

public class LanguageModelTests
{
    [Fact]
    public void The_loss_is_the_summed_cross_entropy_of_the_scored_targets()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Gpt);
        Tensor tokens = Models.Tokens(2, 5), targets = Models.Tokens(2, 5, seed: 11);
        targets.narrow(1, 0, 2).fill_(-100);
        Tensor scores = model.forward(tokens).log_softmax(-1).narrow(1, 2, 3); // (B, 3, V)
        double expected = -scores.gather(2, targets.narrow(1, 2, 3).unsqueeze(2)).sum().item<float>();
        Assert.Equal(expected, model.LossSum(tokens, targets).item<float>(), 1e-4);
    }

    [Theory]
    [InlineData(ScalarType.Float32, true, 1e-5)]
    [InlineData(ScalarType.Float32, false, 1e-5)]
    [InlineData(ScalarType.BFloat16, true, 2e-2)]
    public void The_loss_and_its_gradients_are_those_of_all_logits_at_once(ScalarType computeType, bool tied, double tolerance)
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Models.Gpt with { TieEmbeddings = tied, HeadBias = true, LogitScale = 0.5, LogitSoftCap = 4 };
        using LanguageModel model = Models.Build(options, computeType: computeType);
        Tensor tokens = Models.Tokens(2, 5), targets = Models.Tokens(2, 5, seed: 11);
        targets.narrow(1, 0, 2).fill_(-100);
        Tensor[] parameters = [.. model.parameters()];
        Tensor plain = nn.functional.cross_entropy(
            model.forward(tokens).flatten(0, 1), targets.flatten(), reduction: nn.Reduction.Sum, label_smoothing: 0.1);
        Tensor fused = model.LossSum(tokens, targets, labelSmoothing: 0.1);
        Assert.Equal(plain.item<float>(), fused.item<float>(), 1e-4);
        TensorAssert.CloseToScale(autograd.grad([plain], parameters), autograd.grad([fused], parameters), tolerance);
    }

    private static readonly Dictionary<string, ModelOptions> Stepped = new()
    {
        ["normed, partly rotary"] = Models.Variant("normed", "partial-rotary"),
        ["normed, dynamic NTK"] = Models.Variant("normed", "dynamic-ntk"),
        ["scalable, T5"] = Models.Variant("scalable", "t5"),
        ["scalable, ALiBi"] = Models.Variant("scalable", "alibi"),
        ["hybrid"] = Models.Hybrid,
    };

    public static TheoryData<string> SteppedNames => [.. Stepped.Keys];

    [Theory]
    [MemberData(nameof(SteppedNames))]
    public void A_step_leaves_no_tensor_behind(string name)
    {
        using LanguageModel model = Models.Build(Stepped[name]);
        Decoding.TrainAndDecode(model);
        Finalizers.Run();
        long before = LiveTensors.Count();
        for (int i = 0; i < 5; i++) Decoding.TrainAndDecode(model);
        Assert.Equal(before, LiveTensors.Count());
    }

    [Theory]
    [InlineData("normed", "rotary")]
    [InlineData("scalable", "t5")]
    [InlineData("scalable", "alibi")]
    public void A_model_that_is_disposed_leaves_no_tensor_behind(string projection, string position)
    {
        Finalizers.Run();
        long before = LiveTensors.Count(), parameters;
        using (DisposeScope scope = NewDisposeScope())
        using (LanguageModel model = Models.Build(Models.Variant(projection, position)))
        {
            parameters = model.parameters().Count();
            Differentiation.Backward(model.LossSum(Models.Tokens(2, 8), Models.Tokens(2, 8)));
        }

        // TorchSharp counts a tensor that a parameter took over for ever.
        Assert.Equal(before + parameters, LiveTensors.Count());
    }

    [Fact]
    public void Dropout_acts_in_training_alone()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Gpt with { Dropout = 0.2 });
        Tensor tokens = Models.Tokens(2, 8);
        Assert.False(model.forward(tokens).Equals(model.forward(tokens)));
        model.eval();
        TensorAssert.Same(model.forward(tokens), model.forward(tokens));
    }

    [Theory]
    [MemberData(nameof(Models.Variants), MemberType = typeof(Models))]
    public void Bfloat16_stays_near_float32_and_trains_float32_weights(string projection, string position)
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Models.Variant(projection, position);
        using LanguageModel full = options.Build(Models.Vocabulary);
        using LanguageModel half = options.Build(Models.Vocabulary, ScalarType.BFloat16);
        half.load_state_dict(full.state_dict());
        Tensor tokens = Models.Tokens(2, 8);
        Tensor logits = half.forward(tokens);
        Assert.Equal(ScalarType.Float32, logits.dtype);
        Tensor exact = full.forward(tokens);
        TensorAssert.Close(exact, logits, 0.02);
        TensorAssert.Apart(exact, logits, 0);

        half.LossSum(tokens, tokens).backward();
        foreach (var (name, parameter) in half.named_parameters())
        {
            Assert.Equal(ScalarType.Float32, parameter.dtype);
            Assert.Equal(ScalarType.Float32, parameter.grad!.dtype);
            Assert.True(parameter.grad!.isfinite().all().item<bool>(), name);
        }
    }

    [Fact]
    public void A_tied_head_is_the_embedding()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel tied = Models.Build(Models.Gpt);
        Assert.DoesNotContain(tied.named_parameters(), entry => entry.name.StartsWith("head"));
        tied.LossSum(Models.Tokens(1, 1), Models.Tokens(1, 1)).backward();
        // Only the head reaches the rows of tokens which are not in the input.
        Tensor gradient = tied.named_parameters().First(entry => entry.name == "embedding.weight").parameter.grad!;
        Assert.True(gradient.abs().sum(1).gt(0).all().item<bool>());
    }
}
