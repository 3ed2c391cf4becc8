using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

/// <summary>Tiny models and inputs for the tests.</summary>
internal static class Models
{
    public const int Vocabulary = 13;

    public static DecoderOptions Gpt => new()
    {
        Dim = 16,
        Layers = 2,
        ContextLength = 8,
        Attention = new MultiHeadOptions { Heads = 4 },
        Position = new LearnedOptions(),
        FeedForward = new GeluOptions(),
        Norm = new LayerNormOptions(),
    };

    public static DecoderOptions Llama => new()
    {
        Dim = 16,
        Layers = 2,
        ContextLength = 8,
        TieEmbeddings = false,
        Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 },
    };

    /// <summary>Three layers of Mamba-2, whose chunk does not divide the context, and one of attention.</summary>
    public static DecoderOptions Hybrid => Llama with
    {
        Layers = 4,
        LayerPattern = [new LayerGroupOptions { Repeat = 3, Mixer = Mamba2 }, new LayerGroupOptions()],
    };

    public static Mamba2Options Mamba2 => new() { StateDim = 3, HeadDim = 4, Groups = 2, Chunk = 3 };

    /// <summary>Latent attention of which every width is another.</summary>
    public static DecoderOptions Latent => Llama with
    {
        Attention = new LatentOptions { Heads = 4, HeadDim = 4, RopeDim = 4, ValueDim = 6, KeyValueRank = 8, QueryRank = 6 },
    };

    public static EncoderOptions Encoder =>
        new() { Dim = 16, Layers = 2, ContextLength = 8, Attention = new MultiHeadOptions { Heads = 4 } };

    public static EncoderDecoderOptions EncoderDecoder =>
        new() { Dim = 16, Layers = 2, ContextLength = 8, Attention = new MultiHeadOptions { Heads = 4 } };

    public static IReadOnlyDictionary<string, AttentionOptions> Projections { get; } = new Dictionary<string, AttentionOptions>
    {
        ["multi-head"] = new MultiHeadOptions { Heads = 4 },
        ["multi-query"] = new MultiQueryOptions { Heads = 4 },
        ["grouped-query"] = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 },
        // Few queries at a time are absorbed, more are computed as in training; with the wider values all are absorbed.
        ["latent"] = new LatentOptions { Heads = 4, RopeDim = 4, KeyValueRank = 8 },
        ["latent-wide-values"] = new LatentOptions { Heads = 4, RopeDim = 4, KeyValueRank = 8, QueryRank = 6, ValueDim = 12 },
        ["differential"] = new DifferentialOptions { Heads = 4 },
        ["differential-grouped"] = new DifferentialOptions { Heads = 8, KeyValueHeads = 4, HeadDim = 4, QueryKeyNorm = true },
        ["value-embedding"] = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, ValueEmbedding = true },
        ["normed"] = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, QueryKeyNorm = true },
        ["scalable"] = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, ScalableSoftmax = true,
            Temperature = new() { Floor = 3, Scale = 0.5 } },
    };

    public static IReadOnlyDictionary<string, PositionOptions> Positions { get; } = new Dictionary<string, PositionOptions>
    {
        ["none"] = new NoPositionOptions(),
        ["sinusoidal"] = new SinusoidalOptions(),
        ["learned"] = new LearnedOptions(),
        ["rotary"] = new RotaryOptions(),
        ["partial-rotary"] = new RotaryOptions { Fraction = 0.5 },
        ["interleaved"] = new RotaryOptions { Layout = RotaryLayout.Interleaved },
        ["partial-interleaved"] = new RotaryOptions { Layout = RotaryLayout.Interleaved, Fraction = 0.5 },
        ["linear"] = new RotaryOptions { Scaling = new LinearScaling { Factor = 2 } },
        ["ntk"] = new RotaryOptions { Scaling = new NtkScaling { Factor = 2 } },
        ["ntk-by-parts"] = new RotaryOptions { Scaling = new NtkByPartsScaling { OriginalLength = 4 } },
        ["dynamic-ntk"] = new RotaryOptions { Scaling = new DynamicNtkScaling { OriginalLength = 4 } },
        ["yarn"] = new RotaryOptions { Scaling = new YarnScaling { Factor = 2, OriginalLength = 4 } },
        ["deepseek-yarn"] = new RotaryOptions { Layout = RotaryLayout.Interleaved,
            Scaling = new YarnScaling { Factor = 2, Mscale = 1, MscaleAllDim = 0.5 } },
        ["llama3"] = new RotaryOptions { Scaling = new Llama3Scaling { Factor = 8, OriginalLength = 4 } },
        ["alibi"] = new AlibiOptions(),
        ["t5"] = new T5BiasOptions { Buckets = 8, MaxDistance = 6 },
    };

    public static IReadOnlyDictionary<string, FeedForwardOptions> FeedForwards { get; } = new Dictionary<string, FeedForwardOptions>
    {
        ["relu"] = new ReluOptions(),
        ["gelu"] = new GeluOptions(),
        ["gelu-tanh"] = new GeluTanhOptions(),
        ["silu"] = new SiluOptions(),
        ["relu2"] = new SquaredReluOptions(),
        ["glu"] = new GluOptions(),
        ["reglu"] = new ReGluOptions(),
        ["geglu"] = new GeGluOptions(),
        ["geglu-tanh"] = new GeGluTanhOptions(),
        ["swiglu"] = new SwiGluOptions(),
        ["experts"] = new ExpertsOptions { Experts = 4, HiddenDim = 12, Activation = ActivationKind.Gelu },
        ["experts-shared"] = new ExpertsOptions
        {
            Experts = 6,
            Active = 2,
            Shared = 1,
            HiddenDim = 10,
            Router = RouterKind.Sigmoid,
            Groups = 3,
            ActiveGroups = 2,
            Balance = new BiasBalanceOptions(),
        },
    };

    /// <summary>Every kind of feed-forward layer whose weights all tokens share.</summary>
    public static TheoryData<string> DenseKinds() =>
        [.. FeedForwards.Where(entry => entry.Value is DenseOptions).Select(entry => entry.Key)];

    /// <summary>Every projection with every position.</summary>
    public static TheoryData<string, string> Variants()
    {
        TheoryData<string, string> data = [];
        foreach (string projection in Projections.Keys)
        foreach (string position in Positions.Keys)
            data.Add(projection, position);
        return data;
    }

    /// <summary>The kernels that can be demanded under a position: flash adds no bias to scores.</summary>
    private static AttentionKernel[] Kernels(string position) =>
        Positions[position].AddsBias ? [AttentionKernel.Reference] : [AttentionKernel.Reference, AttentionKernel.Flash];

    /// <summary>Every projection with every position under which flash can be demanded.</summary>
    public static TheoryData<string, string> FlashVariants() =>
        new(Variants().Where(row => Kernels(row.Data.Item2).Contains(AttentionKernel.Flash)).Select(row => row.Data));

    /// <summary>Every projection with every position under every kernel that can be demanded.</summary>
    public static TheoryData<string, string, AttentionKernel> KernelVariants()
    {
        TheoryData<string, string, AttentionKernel> data = [];
        foreach (string projection in Projections.Keys)
        foreach (string position in Positions.Keys)
        foreach (AttentionKernel kernel in Kernels(position))
            data.Add(projection, position, kernel);
        return data;
    }

    public static DecoderOptions Variant(string projection, string position, AttentionKernel kernel = AttentionKernel.Auto) =>
        Llama with { Attention = Projections[projection] with { Kernel = kernel }, Position = Positions[position] };

    /// <summary>A model whose weights are large enough for attention to be far from uniform.</summary>
    public static LanguageModel Build(ModelOptions options, long seed = 1, ScalarType computeType = ScalarType.Float32)
    {
        manual_seed(seed); // vectors that are drawn, such as those of λ, keep their deviation
        LanguageModel model = options.Build(Vocabulary, computeType);
        manual_seed(seed);
        using var gradients = no_grad();
        foreach (var parameter in model.parameters().Where(parameter => parameter.dim() > 1)) parameter.normal_(0, 0.3);
        return model;
    }

    public static Tensor Tokens(int batch, int length, long seed = 2)
    {
        manual_seed(seed);
        return randint(0, Vocabulary, [batch, length], ScalarType.Int64);
    }

    /// <summary>A pass whose first token stands at a position.</summary>
    public static AttentionContext At(int offset) => new() { Offset = offset, PositionLimit = offset + 1 };

    /// <summary>The tokens, with some of them changed to others.</summary>
    public static Tensor Changed(Tensor tokens, int from, int count = 1)
    {
        Tensor changed = tokens.clone(), part = changed.narrow(1, from, count);
        part.copy_(part.add(1).remainder(Vocabulary));
        return changed;
    }

    /// <summary>Of two models of the same weights, the gradients of a loss are the same but for a part of each one's largest.</summary>
    public static void HaveCloseGradients(
        LanguageModel expected, LanguageModel actual, ModelInput input, Tensor targets, double tolerance = 1e-4)
    {
        expected.LossSum(input, targets).backward();
        actual.LossSum(input, targets).backward();
        foreach (var (want, have) in expected.named_parameters().Zip(actual.named_parameters()))
        {
            Assert.Equal(want.name, have.name);
            TensorAssert.CloseToScale(
                want.parameter.grad!, have.parameter.grad!, tolerance, what: $"the gradient of {want.name}");
        }
    }

    /// <summary>What is wrong with a model, each with its place.</summary>
    public static string[] Problems(ModelOptions options) =>
        [.. ModelValidation.All(options).Select(problem => $"{problem.Path}: {problem.Message}")];
}

/// <summary>Decoding in steps.</summary>
internal static class Decoding
{
    /// <summary>Logits of all tokens, given to the model some at a time.</summary>
    public static Tensor Run(LanguageModel model, Tensor tokens, int[] steps, ModelInput? source = null)
    {
        using DecodingState state = model.NewDecodingState((int)tokens.shape[0], (int)tokens.shape[1], source);
        List<Tensor> logits = [];
        foreach (int step in steps) logits.Add(model.forward(tokens.narrow(1, state.Length, step), state));
        return cat([.. logits], 1);
    }

    /// <summary>Steps of a training pass, a prompt and a token after it, over two rows of eight tokens.</summary>
    public static void TrainAndDecode(LanguageModel model)
    {
        using DisposeScope scope = NewDisposeScope();
        model.LossSum(Models.Tokens(2, 8), Models.Tokens(2, 8)).backward();
        using DecodingState state = model.NewDecodingState(2, 8);
        model.forward(Models.Tokens(2, 3), state);
        model.NextLogits(Models.Tokens(2, 1), state);
        state.Reorder([0]);
    }
}
