// Shapes: H query heads, G key-value heads, D head dimension, C model dimension.
using TorchSharp;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Tests;

/// <summary>The model that a conversion makes, and those it cannot make.</summary>
public sealed class GroupedQueryModelTests
{
    private static readonly DecoderOptions Decoder =
        new() { Dim = 32, Layers = 2, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 8 } };

    [Fact]
    public void What_the_kinds_of_attention_share_comes_along()
    {
        DecoderOptions model = Decoder with
        {
            Attention = new MultiHeadOptions
            {
                Heads = 8, HeadDim = 6, QueryKeyNorm = true, Scale = 0.25, SoftCap = 50, ScalableSoftmax = true, Bias = true,
                OutputBias = false, Pattern = new CausalOptions(),
            },
        };
        GroupedQueryOptions converted = Assert.IsType<GroupedQueryOptions>(GroupedQueryModel.Apply(model, 2).Attention);
        Assert.Equal(
            new GroupedQueryOptions
            {
                Heads = 8, KeyValueHeads = 2, HeadDim = 6, QueryKeyNorm = true, Scale = 0.25, SoftCap = 50, ScalableSoftmax = true,
                Bias = true, OutputBias = false, Pattern = new CausalOptions(),
            },
            converted);
        Assert.IsType<MultiQueryOptions>(GroupedQueryModel.Apply(model, 1).Attention);
        Assert.IsType<MultiQueryOptions>(GroupedQueryModel.Apply(GroupedQueryModel.Apply(model, 2), 1).Attention);
    }

    [Fact]
    public void A_model_that_has_as_many_heads_stays_what_it_is()
    {
        ModelOptions converted = GroupedQueryModel.Apply(Decoder, 2);
        Assert.True(GroupedQueryModel.Has(converted, 2));
        Assert.Empty(GroupedQueryModel.Problems(converted, 2, ""));
        Assert.Same(converted, GroupedQueryModel.Apply(converted, 2));
        Assert.Same(Decoder, GroupedQueryModel.Apply(Decoder, 8));
    }

    [Fact]
    public void The_encoder_of_an_encoder_decoder_keeps_its_heads_and_its_pattern()
    {
        EncoderDecoderOptions model =
            new() { Dim = 32, Layers = 2, ContextLength = 16,
            Attention = new MultiHeadOptions { Heads = 8, Pattern = new CausalOptions() } };
        var converted = (EncoderDecoderOptions)GroupedQueryModel.Apply(model, 2);
        Assert.Equal(new MultiHeadOptions { Heads = 8 }, converted.EncoderAttention);
        Assert.Same(converted, GroupedQueryModel.Apply(converted, 2));
        Assert.Equal(new MultiHeadOptions { Heads = 8 }, ((EncoderDecoderOptions)GroupedQueryModel.Apply(converted, 1)).EncoderAttention);
    }

    [Fact]
    public void A_rolling_cache_of_the_decoder_is_not_the_encoders()
    {
        EncoderDecoderOptions model =
            new() { Dim = 32, Layers = 2, ContextLength = 16,
            Attention = new MultiHeadOptions { Heads = 8, Pattern = new SlidingOptions { Window = 4 }, Cache = AttentionCache.Rolling } };
        var converted = (EncoderDecoderOptions)GroupedQueryModel.Apply(model, 2);
        Assert.Equal(AttentionCache.Rolling, converted.Attention.Cache);
        Assert.Equal(AttentionCache.Auto, converted.EncoderAttention!.Cache);
        Assert.Empty(ModelValidation.All(converted));
    }

    [Theory]
    [InlineData(0, "keyValueHeads (0) is a number of heads; use 1 or more")]
    [InlineData(3, "model.attention has 8 key-value heads, which 3 does not divide into equal groups; use 1, 2, 4 or 8")]
    [InlineData(16, "model.attention has 8 key-value heads, and 16 are more: heads can be pooled, not added; use 1, 2, 4 or 8")]
    public void Numbers_that_do_not_go_are_refused(int heads, string message) =>
        Assert.Equal([new Problem("--key-value-heads", message)], GroupedQueryModel.Problems(Decoder, heads, "--key-value-heads"));

    [Fact]
    public void Every_layer_that_differs_is_named()
    {
        DecoderOptions model =
            Decoder with { LayerPattern = [new(), new() { Attention = new GroupedQueryOptions { Heads = 6, KeyValueHeads = 3 } }] };
        Problem problem = Assert.Single(GroupedQueryModel.Problems(model, 2, "p"));
        Assert.Equal(
            "model.layerPattern.1.attention has 3 key-value heads, which 2 does not divide into equal groups; use 1 or 3", problem.Message);
    }

    [Fact]
    public void Latent_attention_has_no_heads_to_pool() =>
        Assert.Equal("model.attention is of type 'latent', which has no heads of keys and values to pool; only multi-head and " +
            "grouped-query attention have",
            Assert.Single(GroupedQueryModel.Problems(Decoder with { Attention = new LatentOptions { Heads = 8 } }, 2, "p")).Message);

    [Fact]
    public void A_model_without_attention_has_none_either() =>
        Assert.StartsWith(
            "no layer of this model has attention",
            Assert.Single(GroupedQueryModel.Problems(Decoder with { Mixer = new Mamba2Options() }, 2, "p")).Message,
            StringComparison.Ordinal);

    [Fact]
    public void An_encoder_has_nothing_to_win()
    {
        EncoderOptions encoder = new() { Dim = 32, Layers = 2, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 8 } };
        Assert.StartsWith(
            "model.architecture is 'encoder'", Assert.Single(GroupedQueryModel.Problems(encoder, 2, "p")).Message,
            StringComparison.Ordinal);
    }
}

/// <summary>Heads pooled whole, group by group.</summary>
public sealed class PooledWeightsTests : IDisposable
{
    private const int Vocabulary = 13;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    private static DecoderOptions Decoder(int heads, int groups) => new()
    {
        Dim = 32, Layers = 2, ContextLength = 16, Attention = new GroupedQueryOptions { Heads = heads, KeyValueHeads = groups },
    };

    private static Dictionary<string, Func<int, ModelOptions>> Models { get; } = new()
    {
        ["decoder"] = groups => Decoder(8, groups),
        ["biases, norms of heads, interleaved"] = groups => Decoder(8, groups) with
        {
            Bias = true, Attention = new GroupedQueryOptions { Heads = 8, KeyValueHeads = groups, QueryKeyNorm = true },
            Position = new RotaryOptions { Layout = RotaryLayout.Interleaved },
        },
        ["wide heads in one layer"] = groups => Decoder(8, groups) with
        {
            LayerPattern = [new(), new() { Attention = new GroupedQueryOptions { Heads = 16, KeyValueHeads = 2 * groups, HeadDim = 6 } }],
        },
        ["encoder-decoder"] = groups => new EncoderDecoderOptions
        {
            Dim = 32, Layers = 2, ContextLength = 16, Bias = true, FeedForward = new GeluOptions(), Norm = new LayerNormOptions(),
            Attention = new GroupedQueryOptions { Heads = 8, KeyValueHeads = groups, QueryKeyNorm = true },
            EncoderAttention = new MultiHeadOptions { Heads = 8, QueryKeyNorm = true },
        },
    };

    public static TheoryData<string, int, HeadPool> Identities => new(
        from model in Models.Keys where model != "wide heads in one layer"
        from groups in (int[])[1, 2, 4]
        from pool in (HeadPool[])[HeadPool.Mean, HeadPool.First]
        select (model, groups, pool));

    // Grouped-query attention whose heads are repeated is multi-head attention, so pooling it is the way back.
    [Theory]
    [MemberData(nameof(Identities))]
    public void Pooling_groups_of_equal_heads_changes_no_logit(string name, int groups, HeadPool pool)
    {
        using DisposeScope scope = NewDisposeScope();
        ModelOptions few = Models[name](groups), many = Models[name](8);
        using LanguageModel model = Build(many);
        MakeEqual(model, many, groups);
        using WeightFiles weights = Save(model);

        using LanguageModel pooled = few.Build(Vocabulary);
        Load(pooled, new PooledWeights(weights, many, groups, pool, seed: 1));

        TensorAssert.Close(Logits(model), Logits(pooled), 2e-6);
    }

    [Fact]
    public void Consecutive_heads_are_pooled_whole_keys_with_keys_and_values_with_values()
    {
        using DisposeScope scope = NewDisposeScope();
        // 2 query rows, then 4 key heads and 4 value heads of 2 rows each: head k has the rows 10k and 10k + 1, values 100 more.
        double[] rows = [-1, -2, 0, 1, 10, 11, 20, 21, 30, 31, 100, 101, 110, 111, 120, 121, 130, 131];
        KeyValueRows layout = new(Queries: 2, Heads: 4, Pooled: 2, HeadDim: 2);
        Tensor matrix = tensor(rows).to_type(ScalarType.Float32);

        TensorAssert.Equal([-1, -2, 5, 6, 25, 26, 105, 106, 125, 126], layout.Pool(matrix, HeadPool.Mean, 1), 0);
        TensorAssert.Equal([-1, -2, 0, 1, 20, 21, 100, 101, 120, 121], layout.Pool(matrix, HeadPool.First, 1), 0);
        TensorAssert.Equal([-1, -2, 0, 0, 0, 0, 0, 0, 0, 0], layout.Pool(matrix, HeadPool.Random, 1), 0); // a bias begins at zero
        TensorAssert.Equal(
            [5, 6, 25, 26, 105, 106, 125, 126], (layout with { Queries = 0 }).Pool(matrix.narrow(0, 2, 16), HeadPool.Mean, 1), 0);
    }

    [Fact]
    public void Grouped_heads_are_pooled_further_and_in_two_steps_as_in_one()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor matrix = rand(3 * 32, 5);
        Tensor once = new KeyValueRows(32, 8, 1, 4).Pool(matrix, HeadPool.Mean, 1);
        Tensor twice = new KeyValueRows(32, 2, 1, 4).Pool(new KeyValueRows(32, 8, 2, 4).Pool(matrix, HeadPool.Mean, 1), HeadPool.Mean, 1);
        Assert.Equal(40, once.size(0));
        TensorAssert.Close(once, twice, 1e-6);
    }

    [Fact]
    public void Random_heads_are_those_of_a_new_model_by_seed_and_different_in_each_matrix()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Build(Decoder(8, 8));
        using WeightFiles weights = Save(model);
        Tensor Read(string name, long seed) => new PooledWeights(weights, model.Options, 2, HeadPool.Random, seed).Read(name);
        const string first = "blocks.0.mixer.projection.qkv.weight", second = "blocks.1.mixer.projection.qkv.weight";

        Tensor drawn = Read(first, 1);
        Assert.Equal(weights.Read(first).narrow(0, 0, 32).data<float>().ToArray(), drawn.narrow(0, 0, 32).data<float>().ToArray());
        Assert.InRange(Math.Sqrt(drawn.narrow(0, 32, 16).square().mean().item<float>()), 0.017, 0.023);
        Assert.Equal(drawn.data<float>().ToArray(), Read(first, 1).data<float>().ToArray());
        Assert.NotEqual(drawn.narrow(0, 32, 16).data<float>().ToArray(), Read(first, 2).narrow(0, 32, 16).data<float>().ToArray());
        Assert.NotEqual(drawn.narrow(0, 32, 16).data<float>().ToArray(), Read(second, 1).narrow(0, 32, 16).data<float>().ToArray());
    }

    [Fact]
    public void Layers_with_other_heads_come_to_the_same_number()
    {
        using DisposeScope scope = NewDisposeScope();
        ModelOptions options = Models["wide heads in one layer"](4);
        using LanguageModel model = Build(options);
        using WeightFiles weights = Save(model);
        ModelOptions converted = GroupedQueryModel.Apply(options, 2);
        using LanguageModel pooled = converted.Build(Vocabulary);
        Load(pooled, new PooledWeights(weights, options, 2, HeadPool.Mean, 1));
        Assert.Equal([2, 2], converted.Stacks[0].Layers.Select(layer => ((GroupedQueryOptions)layer.Attention).KeyValueHeads));
        Assert.Equal(6, ((GroupedQueryOptions)converted.Stacks[0].Layers[1].Attention).HeadDim);
    }

    [Fact]
    public void A_decoder_attends_with_fewer_heads_to_an_encoder_that_keeps_its_own()
    {
        EncoderDecoderOptions options = new() { Dim = 32, Layers = 2, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 8 } };
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Build(options);
        using WeightFiles weights = Save(model);
        PooledWeights pooled = new(weights, options, 2, HeadPool.Mean, 1);
        string[] changed = [.. pooled.Names.Where(name => !pooled.Info(name).Shape.SequenceEqual(weights.Info(name).Shape)).Order()];

        Assert.Equal(
            ["decoder.blocks.0.cross.projection.keyValue.weight", "decoder.blocks.0.mixer.projection.qkv.weight",
                "decoder.blocks.1.cross.projection.keyValue.weight", "decoder.blocks.1.mixer.projection.qkv.weight"],
            changed);
        using LanguageModel converted = GroupedQueryModel.Apply(options, 2).Build(Vocabulary);
        Load(converted, pooled);
    }

    /// <summary>Makes the key and value heads of each group equal to its first.</summary>
    private static void MakeEqual(LanguageModel model, ModelOptions options, int groups)
    {
        using var quiet = no_grad();
        foreach ((string name, Tensor value) in model.state_dict())
        {
            bool own = name.Contains(".qkv."), cross = name.Contains(".keyValue.");
            if ((!own && !cross) || name.StartsWith("encoder.", StringComparison.Ordinal)) continue;
            const int heads = 8;
            int queries = own ? options.Dim : 0, headDim = options.Dim / heads;
            Tensor both = value.narrow(0, queries, 2 * heads * headDim); // (2·G·D, …)
            Tensor grouped = both.view([2, groups, heads / groups, headDim, .. both.shape[1..]]);
            grouped.copy_(grouped.narrow(2, 0, 1).expand(grouped.shape).clone());
        }
    }

    private static LanguageModel Build(ModelOptions options)
    {
        manual_seed(5);
        LanguageModel model = options.Build(Vocabulary);
        using var quiet = no_grad();
        // Large enough that attention is far from even, and biases are not zero.
        foreach (var (_, parameter) in model.named_parameters()) parameter.normal_(0, 0.3);
        model.eval();
        return model;
    }

    private WeightFiles Save(LanguageModel model)
    {
        string path = folder.PathOf(Guid.NewGuid().ToString("N") + ".safetensors");
        Safetensors.Write(path, model.state_dict().Select(entry => (entry.Key, entry.Value)));
        return WeightFiles.OpenFile(path);
    }

    private static void Load(LanguageModel model, IWeightSource weights)
    {
        using var quiet = no_grad();
        var state = model.state_dict();
        Assert.Equal(state.Keys.Order(), weights.Names.Order());
        foreach ((string name, Tensor value) in state)
        {
            using Tensor read = weights.Read(name);
            Assert.Equal(weights.Info(name).Shape, read.shape);
            Assert.Equal(value.shape, read.shape);
            value.copy_(read);
        }
        model.eval();
    }

    private static Tensor Logits(LanguageModel model)
    {
        using var quiet = no_grad();
        Tensor tokens = arange(0, 24, ScalarType.Int64).remainder(Vocabulary).view(2, 12);
        return model.forward(model.Options is EncoderDecoderOptions ? new ModelInput(tokens) { Source = tokens } : tokens);
    }
}
