using TorchSharp;
using Trainer.Kernels;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Blocks that the backward pass runs again give the same bits as blocks that keep everything.</summary>
public class ActivationCheckpointingTests
{
    private static readonly ExpertsOptions Experts =
        new() { Experts = 4, HiddenDim = 12, RouterZLoss = 0.01, Balance = new LossBalanceOptions { Coefficient = 0.1 } };

    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["gpt with dropout"] = Models.Gpt with { Dropout = 0.2 },
        ["llama"] = Models.Llama,
        ["parallel"] = Models.Llama with { ParallelResidual = true },
        ["sandwich"] = Models.Llama with { Norm = new RmsNormOptions { Placement = NormPlacement.Sandwich } },
        ["hybrid"] = Models.Hybrid,
        ["latent"] = Models.Latent,
        ["differential"] = Models.Variant("differential", "rotary"),
        ["t5 bias"] = Models.Variant("grouped-query", "t5"),
        ["alibi"] = Models.Variant("scalable", "alibi"),
        ["experts"] = Models.Llama with { FeedForward = Experts },
        ["experts with dropout"] = Models.Llama with { FeedForward = Experts, Dropout = 0.2 },
        ["encoder"] = Models.Encoder with { Dropout = 0.1 },
        ["encoder-decoder"] = Models.EncoderDecoder with { Dropout = 0.1 },
        ["encoder-decoder of t5"] =
            Models.EncoderDecoder with { Position = new T5BiasOptions { Buckets = 8, MaxDistance = 6 }, FeedForward = Experts },
    };

    public static MatrixTheoryData<string, ScalarType> Cases => new(Kinds.Keys, [ScalarType.Float32, ScalarType.BFloat16]);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Loss_gradients_and_what_comes_after_are_the_same_bits(string name, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Kinds[name], computeType: type);
        (float[][] plain, string load) = TwoPasses(model, recompute: false);
        (float[][] again, string secondLoad) = TwoPasses(model, recompute: true);
        Assert.Equal(plain, again);
        Assert.Equal(load, secondLoad);
    }

    [Fact]
    public void Nothing_of_a_step_outlives_it()
    {
        using LanguageModel model = Models.Build(Kinds["encoder-decoder of t5"]);
        TwoPasses(model, recompute: true);
        Finalizers.Run();
        long live = LiveTensors.Count();
        for (int again = 0; again < 5; again++) TwoPasses(model, recompute: true);
        Assert.Equal(live, LiveTensors.Count());
    }

    [Fact]
    public void The_callers_tensors_are_not_needed_by_the_backward_pass()
    {
        using LanguageModel model = Models.Build(Kinds["encoder-decoder"]);
        model.ActivationCheckpointing = true;
        using DisposeScope outer = NewDisposeScope();
        Tensor loss;
        using (NewDisposeScope())
        {
            Tensor tokens = Models.Tokens(2, 8);
            loss = model.LossSum(Input(model, tokens), tokens.roll(1, 1)).MoveToOuterDisposeScope();
        }
        loss.backward();
        Assert.All(model.parameters(), parameter => Assert.NotNull(parameter.grad));
    }

    // A backward pass refuses a tensor that was kept and has been written to since; one that it makes anew it takes as it is.
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Only_blocks_that_run_again_keep_nothing_but_their_inputs(bool recompute)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        model.ActivationCheckpointing = recompute;
        Tensor tokens = Models.Tokens(2, 8), loss = model.LossSum(tokens, tokens.roll(1, 1));
        using (no_grad()) model.named_parameters().First(entry => entry.name == "blocks.0.feedForward.down.weight").parameter.mul_(2);
        if (recompute) loss.backward();
        else Assert.ThrowsAny<System.Runtime.InteropServices.ExternalException>(() => loss.backward());
    }

    [Fact]
    public void Each_further_block_keeps_one_tensor_of_the_stream()
    {
        const long Stream = 128 * 64 * 256 * sizeof(float); // (B, T, C); much, against what else comes and goes in the process
        const long Noise = Stream / 32;
        // Of several looks the least: the runtime compiles and frees as it likes.
        long Kept(int layers) => Enumerable.Range(0, 5).Min(_ => KeptOnce(layers));

        long KeptOnce(int layers)
        {
            using DisposeScope scope = NewDisposeScope();
            using LanguageModel model = Models.Build(Models.Llama with { Layers = layers, Dim = 256, ContextLength = 64 });
            model.ActivationCheckpointing = true;
            Tensor tokens = Models.Tokens(128, 64);
            Finalizers.Run();
            long before = CpuMemory.Current().Allocated;
            Tensor loss = model.LossSum(tokens, tokens.roll(1, 1));
            return CpuMemory.Current().Allocated - before;
        }

        KeptOnce(1); // what is made once and for all is made
        Assert.InRange(Kept(3) - Kept(2), Stream - Noise, Stream * 5 / 4);
    }

    [Fact]
    public void A_model_decodes_and_is_evaluated_as_ever()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Models.Llama);
        model.eval();
        Tensor tokens = Models.Tokens(2, 8), expected = model.forward(tokens);
        model.ActivationCheckpointing = true;
        TensorAssert.Same(expected, model.forward(tokens));
        using var quiet = no_grad();
        using DecodingState state = model.NewDecodingState(2, 8);
        TensorAssert.Close(expected, model.forward(tokens, state), 2e-5);
    }

    // Two micro-batches, as in accumulation, of two rows each with two documents where the model knows documents.
    private static (float[][] Values, string Load) TwoPasses(LanguageModel model, bool recompute)
    {
        using DisposeScope scope = NewDisposeScope();
        model.train();
        model.zero_grad();
        model.ActivationCheckpointing = recompute;
        List<float[]> values = [];
        for (long seed = 5; seed < 7; seed++)
        {
            Tensor tokens = Models.Tokens(2, 8, seed), targets = tokens.roll(1, 1);
            LossTerms terms = model.Losses(Input(model, tokens), targets);
            terms.Objective.backward();
            values.Add(Values(terms.Objective));
            values.Add(Values(rand(4))); // where the generator stands
        }
        values.AddRange(model.parameters().Select(parameter => Values(parameter.grad!)));
        model.EndStep(zeros([]));
        return ([.. values], string.Join(" ", model.Experts().SelectMany(layer => layer.Tokens)));
    }

    private static ModelInput Input(LanguageModel model, Tensor tokens)
    {
        ModelInput packed = new(tokens)
        {
            Documents = tensor([0L, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, -1], [2, 8]),
            Positions = tensor([0L, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7], [2, 8]),
        };
        Tensor padding = tensor([0L, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1], [2, 8]);
        return model.Options is EncoderDecoderOptions
            ? new(tokens) { Source = new(tokens.flip(1)) { Documents = padding } }
            : packed;
    }

    private static float[] Values(Tensor tensor) => tensor.detach().reshape(-1).data<float>().ToArray();
}
