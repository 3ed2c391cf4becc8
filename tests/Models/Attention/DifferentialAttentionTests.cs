using TorchSharp.Modules;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention;

public class DifferentialAttentionTests
{
    private const int Dim = 16, Heads = 8, Groups = 4, Width = 4;

    private static readonly string[] Lambdas = ["lambdaQuery1", "lambdaKey1", "lambdaQuery2", "lambdaKey2"];

    [Theory]
    [InlineData(AttentionKernel.Reference, Heads, 7)]
    [InlineData(AttentionKernel.Reference, Groups, 7)]
    [InlineData(AttentionKernel.Reference, 2, 7)]
    [InlineData(AttentionKernel.Flash, Groups, 7)]
    [InlineData(AttentionKernel.Flash, Groups, 40)]
    public void A_layer_computes_the_paper_s_formula_and_its_gradients(AttentionKernel kernel, int groups, int length)
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Model(groups, kernel);
        using LanguageModel model = Models.Build(options);
        foreach (int layer in (int[])[0, 1])
        {
            AttentionLayer attention = Layer(model, layer);
            manual_seed(5);
            Tensor x = randn(2, length, Dim), weight = randn(2, length, Dim);
            Dictionary<string, Tensor> exact = attention.named_parameters().ToDictionary(
                entry => entry.name, entry => entry.parameter.to_type(ScalarType.Float64).detach().requires_grad_());
            Tensor expected = Formula(x.to_type(ScalarType.Float64), exact, groups, layer);
            expected.mul(weight).sum().backward();

            Tensor actual = attention.Mix(x, new(Models.At(0), layer, new NoPositions(), State: null));
            actual.mul(weight).sum().backward();
            TensorAssert.Close(expected.to_type(ScalarType.Float32), actual, 2e-5);
            foreach ((string name, Parameter parameter) in attention.named_parameters())
            {
                TensorAssert.CloseToScale(exact[name].grad!.to_type(ScalarType.Float32), parameter.grad!, 2e-4, floor: 0, $"layer {layer}, {name}");
            }
        }
    }

    [Theory]
    [InlineData(0, 0.2)]
    [InlineData(1, 0.35550906759)]
    [InlineData(27, 0.79981787652)]
    public void Lambda_starts_lower_in_earlier_layers(int layer, double expected)
    {
        Assert.Equal(expected, new DifferentialOptions { Heads = 2 }.LambdaInitAt(layer), 1e-10);
        Assert.Equal(0.5, new DifferentialOptions { Heads = 2, LambdaInit = 0.5 }.LambdaInitAt(layer));
    }

    [Fact]
    public void Vectors_of_lambda_are_drawn_with_a_deviation_of_a_tenth()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        DecoderOptions options = Models.Llama with { Dim = 512, Attention = new DifferentialOptions { Heads = Heads } };
        using LanguageModel model = options.Build(Models.Vocabulary);
        foreach (string name in Lambdas)
        {
            Tensor drawn = model.state_dict()[$"blocks.1.mixer.projection.{name}"];
            Assert.Equal([64], drawn.shape);
            Assert.InRange(drawn.std().item<float>(), 0.07, 0.13);
        }
    }

    [Fact]
    public void With_equal_heads_in_a_pair_and_equal_vectors_it_is_multi_head_attention_with_a_norm()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Model(Heads));
        AttentionLayer attention = Layer(model, 1);
        Dictionary<string, Parameter> weights = attention.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        using (no_grad())
        {
            // (A − λ·A)·V = (1 − λ)·A·V, which the norm makes A·V again.
            Tensor rows = weights["projection.heads.qkv.weight"].narrow(0, 0, 2 * Heads * Width).view(Heads, 2, Width, Dim);
            rows.select(1, 1).copy_(rows.select(1, 0));
            foreach (string name in Lambdas) weights[$"projection.{name}"].zero_();
            Tensor x = randn(2, 7, Dim);
            MixerContext context = new(Models.At(0), 1, new NoPositions(), State: null);
            Tensor first = attention.Mix(x, context);
            foreach (string name in Lambdas.Take(2)) weights[$"projection.{name}"].fill_(0.1); // another λ
            Tensor second = attention.Mix(x, context);
            TensorAssert.Close(first, second, 1e-3);
            TensorAssert.Apart(first, second, 1e-7);
        }
    }

    [Fact]
    public void The_cache_holds_what_grouped_query_attention_of_these_heads_would()
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Model(Groups);
        Assert.Equal(new(Groups, Width, Groups / 2, 2 * Width), options.Attention.CacheLayout(Dim));
        using LanguageModel model = options.Build(Models.Vocabulary);
        using DecodingState state = model.NewDecodingState(3, 20);
        Assert.Equal(3 * 20 * options.Layers * 2 * Groups * Width * 4, state.Bytes);
        Assert.Equal(options.Layers * 2 * Groups * Width * 4, ModelCost.Of(options, Models.Vocabulary).CacheBytesPerToken());
    }

    [Fact]
    public void Dropout_drops_weights_of_each_softmax_alike_wherever_it_is_computed()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor tokens = Models.Tokens(2, 40);
        float[] losses = [.. ((AttentionKernel[])[AttentionKernel.Reference, AttentionKernel.Flash]).Select(kernel =>
        {
            using LanguageModel model = Models.Build(Model(Groups, kernel) with { Dropout = 0.3 });
            manual_seed(9);
            return model.LossSum(tokens, tokens).item<float>();
        })];
        Assert.Equal(losses[0], losses[1], 1e-4f * losses[0]);
    }

    [Fact]
    public void Attention_to_an_encoder_is_grouped_query()
    {
        using DisposeScope scope = NewDisposeScope();
        EncoderDecoderOptions options = new()
        {
            Dim = Dim,
            Layers = 1,
            ContextLength = 8,
            Attention = new DifferentialOptions { Heads = Heads, KeyValueHeads = Groups, HeadDim = Width },
        };
        using LanguageModel model = Models.Build(options);
        Assert.Equal([2 * Groups * Width, Dim], model.state_dict()["decoder.blocks.0.cross.projection.keyValue.weight"].shape);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(options, Models.Vocabulary).Parameters);
    }

    [Theory]
    [InlineData("heads (3) must be even, as type 'differential' subtracts heads in pairs; try 2 or 4", "heads", 3, null)]
    [InlineData("heads (1) must be even, as type 'differential' subtracts heads in pairs; try 2", "heads", 1, null)]
    [InlineData(
        "heads (6) must be a multiple of keyValueHeads (3), and that even, as pairs of heads share a value; try 2 or 6",
        "keyValueHeads", 6, 3)]
    [InlineData(
        "heads (12) must be a multiple of keyValueHeads (8), and that even, as pairs of heads share a value; try 2, 4, 6 or 12",
        "keyValueHeads", 12, 8)]
    public void Heads_come_in_pairs(string expected, string path, int heads, int? groups) =>
        Expect(new() { Heads = heads, KeyValueHeads = groups, HeadDim = 4 }, path, expected);

    [Fact]
    public void Heads_must_divide_dim_unless_their_width_is_given() =>
        Expect(new() { Heads = 6 }, "heads", "heads (6) must divide dim (16); try 2, 4, 8 or 16, or set headDim");

    [Fact]
    public void Linear_attention_has_no_softmax_to_subtract() =>
        Expect(new() { Heads = 4, Kernel = AttentionKernel.Linear }, "kernel",
            "'linear' has no softmax, of which type 'differential' subtracts two; use another kernel, or type 'multi-head'");

    private static void Expect(DifferentialOptions attention, string path, string expected)
    {
        Problem problem = Assert.Single(ModelValidation.All(Models.Llama with { Attention = attention }));
        Assert.Equal((path, expected), (problem.Path["attention.".Length..], problem.Message));
    }

    private static DecoderOptions Model(int groups, AttentionKernel kernel = AttentionKernel.Auto) => Models.Llama with
    {
        Attention = new DifferentialOptions { Heads = Heads, KeyValueHeads = groups, HeadDim = Width, Kernel = kernel },
        Position = new NoPositionOptions(),
    };

    private static AttentionLayer Layer(LanguageModel model, int layer) =>
        (AttentionLayer)model.named_modules().First(module => module.name == $"blocks.{layer}.mixer").module;

    // Head by head, as in the paper: headᵢ = (1 − λ_init)·norm((softmax(Q₁K₁ᵀ/√d) − λ·softmax(Q₂K₂ᵀ/√d))·V).
    private static Tensor Formula(Tensor x, Dictionary<string, Tensor> weights, int groups, int layer)
    {
        double initial = 0.8 - 0.6 * Math.Exp(-0.3 * layer);
        Tensor Lambda(int which) => weights[$"projection.{Lambdas[which]}"];
        Tensor lambda = Lambda(0).dot(Lambda(1)).exp() - Lambda(2).dot(Lambda(3)).exp() + initial;
        Tensor[] rows = weights["projection.heads.qkv.weight"].split([Heads * Width, groups * Width, groups * Width]);
        int sharing = Heads / groups;
        List<Tensor> heads = [];
        for (int pair = 0; pair < Heads / 2; pair++)
        {
            int group = pair / sharing, first = group * 2 * sharing + pair % sharing;
            Tensor value = Times(rows[2].narrow(0, group * 2 * Width, 2 * Width));
            Tensor difference = Weights(first, 2 * group) - lambda * Weights(first + sharing, 2 * group + 1);
            Tensor head = difference.matmul(value); // (B, T, 2·d)
            Tensor normed = head / (head.square().mean([-1], keepdim: true) + 1e-5).sqrt() * weights["projection.norm.weight"];
            heads.Add((1 - initial) * normed);
        }
        return cat([.. heads], -1).matmul(weights["output.weight"].t());

        Tensor Times(Tensor matrix) => x.matmul(matrix.t());

        Tensor Weights(int head, int key)
        {
            Tensor scores = Times(rows[0].narrow(0, head * Width, Width))
                .matmul(Times(rows[1].narrow(0, key * Width, Width)).transpose(1, 2)) / Math.Sqrt(Width);
            Tensor later = ones(x.size(1), x.size(1), ScalarType.Bool).triu(1);
            return scores.masked_fill(later, double.NegativeInfinity).softmax(-1);
        }
    }
}
