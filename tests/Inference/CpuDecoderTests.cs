using TorchSharp;
using Trainer.Data.Tokenizers;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Mixers;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests;

/// <summary>The decoder for CPUs gives what the model gives, and the model decodes what it does not take.</summary>
public sealed class CpuDecoderTests
{
    private const int Vocabulary = 23, Context = 40;

    // In bfloat16 a last bit that differs may round otherwise: once in the plainest families with one sequence, else up to twice.
    private const double RoundedOnce = 4e-3, RoundedTwice = 8e-3;

    private static readonly GroupedQueryOptions Grouped = new() { Heads = 4, KeyValueHeads = 2 };

    private static readonly DecoderOptions Gpt = new()
    {
        Dim = 32, Layers = 2, ContextLength = Context, Bias = true, Attention = new MultiHeadOptions { Heads = 4 },
        Position = new LearnedOptions(), FeedForward = new GeluTanhOptions(), Norm = new LayerNormOptions(),
    };

    private static readonly DecoderOptions Llama = new()
    {
        Dim = 32, Layers = 2, ContextLength = Context, TieEmbeddings = false, Attention = Grouped,
    };

    // Long enough a prompt leaves a cache that has rolled: 5 + 16 rows.
    private static readonly PatternOptions Window = new SlidingOptions { Window = 5 }, Sinks = new SlidingOptions { Window = 5, Sinks = 3 };

    internal static readonly Dictionary<string, DecoderOptions> Taken = new()
    {
        ["gpt"] = Gpt,
        ["gpt without biases"] = Gpt with { Bias = false },
        ["gpt with an own head"] = Gpt with { TieEmbeddings = false, HeadBias = true },
        ["llama"] = Llama,
        ["llama tied"] = Llama with { TieEmbeddings = true },
        ["multi-query"] = Llama with { Attention = new MultiQueryOptions { Heads = 8 } },
        ["a head of its own width"] = Llama with { Attention = new GroupedQueryOptions { Heads = 3, KeyValueHeads = 3, HeadDim = 20 } },
        ["qwen"] = Llama with { TieEmbeddings = true, Attention = Grouped with { QueryKeyNorm = true, Bias = true, HeadDim = 16 } },
        ["normed by layer norm"] = Gpt with { Attention = new MultiHeadOptions { Heads = 4, QueryKeyNorm = true, OutputBias = false } },
        ["gemma"] = Llama with
        {
            TieEmbeddings = true, ScaleEmbeddings = true, LogitSoftCap = 3, FeedForward = new GeGluTanhOptions(),
            Norm = new RmsNormOptions { Placement = NormPlacement.Sandwich, Epsilon = 1e-6 },
            Attention = new MultiQueryOptions { Heads = 4, SoftCap = 2, Scale = 0.3 },
            LayerPattern = [new() { Attention = new MultiQueryOptions { Heads = 4, SoftCap = 2, Scale = 0.3, Pattern = Window } }, new()],
        },
        ["sandwich with biases"] = Gpt with { Norm = new LayerNormOptions { Placement = NormPlacement.Sandwich } },
        ["post-norm"] = Gpt with
        {
            ScaleEmbeddings = true, Position = new SinusoidalOptions(), FeedForward = new ReluOptions(),
            Norm = new LayerNormOptions { Placement = NormPlacement.Post },
        },
        ["neox"] = Gpt with
        {
            ParallelResidual = true, TieEmbeddings = false, Position = new RotaryOptions { Fraction = 0.25 },
            FeedForward = new GeluOptions(),
        },
        ["bloom"] = Gpt with { EmbeddingNorm = true, Position = new AlibiOptions() },
        ["mistral"] = Llama with { Attention = Grouped with { Pattern = Window } },
        ["sinks"] = Llama with { Attention = Grouped with { Pattern = Sinks } },
        ["alibi in a window"] =
            Llama with { Position = new AlibiOptions(), Attention = Grouped with { Heads = 6, HeadDim = 8, Pattern = Sinks } },
        ["sharpened softmax"] = Llama with
        {
            Attention = Grouped with { ScalableSoftmax = true, Temperature = new() { Floor = 3, Scale = 0.5 } },
            LayerPattern = [new() { Position = new NoPositionOptions() },
                new() { Attention = Grouped with { ScalableSoftmax = true, Pattern = Window } }],
        },
        ["no positions"] = Llama with { Position = new NoPositionOptions(), LogitScale = 0.7 },
        ["layers of two widths"] = Llama with
        {
            LayerPattern = [new() { FeedForward = new SwiGluOptions { HiddenDim = 32 } },
                new() { FeedForward = new GeluOptions { HiddenDim = 192 } }],
        },
    };

    private static readonly Dictionary<string, PositionOptions> Rotaries = new()
    {
        ["interleaved"] = new RotaryOptions { Layout = RotaryLayout.Interleaved },
        ["partial interleaved"] = new RotaryOptions { Layout = RotaryLayout.Interleaved, Fraction = 0.5 },
        ["linear"] = new RotaryOptions { Scaling = new LinearScaling { Factor = 2 } },
        ["ntk"] = new RotaryOptions { Scaling = new NtkScaling { Factor = 2 } },
        ["ntk by parts"] = new RotaryOptions { Scaling = new NtkByPartsScaling { OriginalLength = 20 } },
        ["yarn"] = new RotaryOptions { Scaling = new YarnScaling { Factor = 2 } },
        ["deepseek yarn"] = new RotaryOptions { Scaling = new YarnScaling { Factor = 2, Mscale = 1, MscaleAllDim = 0.5 } },
        ["llama 3"] = new RotaryOptions { Scaling = new Llama3Scaling { Factor = 8, OriginalLength = 20 } },
    };

    private static readonly FeedForwardOptions[] FeedForwards =
    [
        new ReluOptions(), new GeluOptions(), new GeluTanhOptions(), new SiluOptions(), new SquaredReluOptions(),
        new GluOptions(), new ReGluOptions(), new GeGluOptions(), new GeGluTanhOptions(), new SwiGluOptions(),
    ];

    internal static readonly ExpertsOptions Experts = new() { Experts = 4, HiddenDim = 12 };

    internal static readonly Dictionary<string, ModelOptions> Others = new()
    {
        ["experts"] = Llama with { FeedForward = Experts },
        ["experts in one layer"] = Llama with { LayerPattern = [new(), new() { FeedForward = Experts }] },
        ["latent attention"] = Llama with { Attention = new LatentOptions { Heads = 4, RopeDim = 4, KeyValueRank = 8 } },
        ["value embeddings"] = Llama with { Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, ValueEmbedding = true } },
        ["differential attention"] = Llama with { Attention = new DifferentialOptions { Heads = 4 } },
        ["state space"] = Llama with { LayerPattern =
            [new() { Mixer = new Mamba2Options { StateDim = 3, HeadDim = 4, Chunk = 3 } }, new()] },
        ["latent attention in a window"] =
            Llama with { Attention = new LatentOptions { Heads = 4, RopeDim = 4, KeyValueRank = 8, Pattern = Sinks } },
        ["t5 bias"] = Llama with { Position = new T5BiasOptions() },
        ["dynamic ntk"] = Llama with { Position = new RotaryOptions { Scaling = new DynamicNtkScaling { OriginalLength = 20 } } },
        ["prefix"] = Llama with { Attention = new MultiHeadOptions { Heads = 4, Pattern = new PrefixOptions { PrefixLength = 3 } } },
        ["strided"] = Llama with { Attention = new MultiHeadOptions { Heads = 4, Pattern = new StridedOptions { Stride = 3 } } },
        ["linear attention"] = Llama with { Attention = new MultiHeadOptions { Heads = 4, Kernel = AttentionKernel.Linear } },
        ["a demanded kernel"] = Llama with { Attention = new MultiHeadOptions { Heads = 4, Kernel = AttentionKernel.Reference } },
        ["a demanded cache"] = Llama with { Attention = new MultiHeadOptions { Heads = 4, Cache = AttentionCache.Paged } },
    };

    public static TheoryData<string, int> TakenAfterPrompts() =>
        [.. from name in Taken.Keys from prompt in (int[])[1, 3, 8, 30, 37] select (name, prompt)];

    /// <summary>One sequence, and three whose prompts the model, the decoder at once, and the decoder in two parts read; in int8 without
    /// families whose rows are no whole blocks.</summary>
    public static TheoryData<string, ScalarType, int[]> TakenInFewerBits() =>
    [
        .. from name in Taken.Keys
           from type in (ScalarType[])[ScalarType.BFloat16, ScalarType.Int8]
           where type == ScalarType.BFloat16 || name is not ("a head of its own width" or "alibi in a window")
           from prompts in (int[][])[[3], [40, 3, 12]]
           select (name, type, prompts),
    ];

    public static TheoryData<string> RotaryKinds() => [.. Rotaries.Keys];

    public static TheoryData<string> FeedForwardKinds() => [.. FeedForwards.Select(options => options.GetType().Name)];

    public static TheoryData<string> OtherKinds() => [.. Others.Keys];

    [Theory]
    [MemberData(nameof(TakenAfterPrompts))]
    public void Its_logits_are_the_model_s(string name, int prompt) => Agree(Taken[name], prompt);

    [Theory]
    [MemberData(nameof(RotaryKinds))]
    public void Its_logits_are_the_model_s_with_rotary_positions(string kind) => Agree(Llama with { Position = Rotaries[kind] }, prompt: 3);

    [Theory]
    [MemberData(nameof(FeedForwardKinds))]
    public void Its_logits_are_the_model_s_with_every_feed_forward_layer(string kind) =>
        Agree(Llama with { Bias = true, FeedForward = FeedForwards.Single(options => options.GetType().Name == kind) }, prompt: 3);

    [Theory]
    [MemberData(nameof(TakenInFewerBits))]
    public void In_fewer_bits_its_logits_are_the_model_s(string name, ScalarType type, int[] prompts)
    {
        DecoderOptions options = Taken[name] with { ContextLength = Math.Max(Context, prompts.Max() + 20) };
        using LanguageModel full = Build(options), model = options.BuildForInference(Vocabulary, type);
        using (DisposeScope scope = NewDisposeScope())
        using (no_grad())
        {
            var weights = full.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
            foreach (var (weight, parameter) in model.named_parameters())
                parameter.copy_(parameter.dtype == ScalarType.Int8 ? BlockQuantization.Pack(weights[weight].detach()) : weights[weight]);
        }
        bool roundsOnce = prompts.Length == 1 && name is ("gpt" or "llama" or "llama tied" or "post-norm");
        AgreesWithModelDecoder(model, type == ScalarType.Int8 ? 1e-5 : roundsOnce ? RoundedOnce : RoundedTwice, prompts);
    }

    [Fact]
    public void Master_weights_are_multiplied_as_the_model_rounds_them()
    {
        using LanguageModel model = Taken["post-norm"].Build(Vocabulary, ScalarType.BFloat16);
        Randomize(model);
        model.eval();
        AgreesWithModelDecoder(model, RoundedOnce, 3);
    }

    [Fact]
    public void Sequences_of_different_lengths_have_the_bits_they_have_alone()
    {
        using LanguageModel model = Build(Taken["sinks"]);
        using CpuDecoder together = new(model, 6, Context);
        int[][] texts = [Ids(20, 1), Ids(29, 2), Ids(22, 3), Ids(30, 4), Ids(21, 5)];
        foreach (int[] text in texts) together.Add(text[..^15]);
        List<float[]> logits = [];
        for (int left = 15; left > 0; left--) logits.Add(together.Next([.. texts.Select(text => text[^left])]).ToArray());
        for (int row = 0; row < texts.Length; row++)
        {
            using CpuDecoder alone = new(model, 1, Context);
            alone.Add(texts[row][..^15]);
            for (int step = 0; step < 15; step++)
                Assert.Equal(alone.Next([texts[row][^(15 - step)]]), logits[step].AsSpan(row * Vocabulary, Vocabulary));
        }
    }

    [Fact]
    public void Sequences_that_branch_off_go_on_from_what_is_remembered()
    {
        using LanguageModel model = Build(Taken["mistral"]);
        using CpuDecoder decoder = new(model, 4, Context);
        List<List<int>> texts = [[.. Ids(4, 1)]];
        decoder.Begin(texts[0]);
        int next = 0;
        foreach (int[] sequences in (int[][])[[0, 0, 0], [2, 0, 2], [1, 1, 0, 1], [3], [0, 0, 0, 0], [1, 3], [1, 0, 1]])
        {
            decoder.Reorder(sequences);
            texts = [.. sequences.Select(sequence => (List<int>)[.. texts[sequence], next++ % Vocabulary])];
            float[] logits = decoder.Next([.. texts.Select(text => text[^1])]).ToArray();
            for (int row = 0; row < texts.Count; row++)
                Close(Whole(model, [.. texts[row]])[^1], logits.AsSpan(row * Vocabulary, Vocabulary), 1e-5, $"sequence {row}");
        }
    }

    [Fact]
    public void One_thread_and_two_give_the_same_bits()
    {
        DecoderOptions wide = Llama with { Dim = 256, Attention = new MultiHeadOptions { Heads = 16, HeadDim = 64 } };
        using LanguageModel model = Build(wide, vocabulary: 1000);
        float[] one = Run(), two;
        set_num_threads(2);
        try
        {
            two = Run();
        }
        finally
        {
            set_num_threads(1);
        }
        Assert.Equal(one, two);

        float[] Run()
        {
            using CpuDecoder decoder = new(model, 2, Context);
            decoder.Begin([1]);
            decoder.Reorder([0, 0]);
            float[] logits = [];
            for (int step = 1; step < Context; step++) logits = decoder.Next([step, 2 * step]).ToArray();
            return logits;
        }
    }

    [Theory]
    [InlineData("gpt")]
    [InlineData("llama")]
    [InlineData("sinks")]
    public void Greedy_texts_are_the_model_s_past_the_context_too(string name)
    {
        using LanguageModel model = Build(Taken[name]), other = Build(OfTheModel(Taken[name]));
        Assert.True(CpuDecoder.Supports(model) && !CpuDecoder.Supports(other));
        int[] text = Greedy(model);
        Assert.Equal(Greedy(other), text);
        Assert.True(text.Distinct().Count() > 3);

        static int[] Greedy(LanguageModel model)
        {
            GenerationOptions options = new() { Tokens = 5 * Context / 2, Sampling = new() { Greedy = true } };
            return [.. new TextGenerator(model, ByteTokenizer.Instance, CPU).Generate([1, 2, 3], options)];
        }
    }

    [Theory]
    [InlineData(3)]
    [InlineData(8)]
    [InlineData(9)] // more than the decoder takes
    public void Beams_find_what_they_find_with_the_model(int beams)
    {
        using LanguageModel model = Build(Llama), other = Build(OfTheModel(Llama));
        Hypothesis[] found = [.. Search(model)], expected = [.. Search(other)];
        Assert.Equal(expected.Select(hypothesis => hypothesis.Tokens), found.Select(hypothesis => hypothesis.Tokens));
        TensorAssert.Equal([.. expected.Select(hypothesis => hypothesis.Score)], [.. found.Select(hypothesis => hypothesis.Score)], 1e-4);

        IReadOnlyList<Hypothesis> Search(LanguageModel model) =>
            new BeamSearch(model, CPU, new() { Beams = beams, Tokens = 12 }).Search([1, 2, 3], null, end: 7)[0];
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void Each_generation_reads_the_weights_as_training_has_left_them(ScalarType type)
    {
        using LanguageModel model = Llama.Build(Vocabulary, type), other = Llama.Build(Vocabulary, type);
        Randomize(model);
        Randomize(other);
        TextGenerator generator = new(model, ByteTokenizer.Instance, CPU);
        int[] before = [.. generator.Generate([1, 2, 3], new())];
        foreach (LanguageModel one in (LanguageModel[])[model, other])
            using (no_grad())
                foreach (var parameter in one.parameters()) parameter.mul_(-1.1);
        int[] after = [.. generator.Generate([1, 2, 3], new())];
        Assert.NotEqual(before, after);
        Assert.Equal(new TextGenerator(other, ByteTokenizer.Instance, CPU).Generate([1, 2, 3], new()), after);
    }

    [Theory]
    [MemberData(nameof(OtherKinds))]
    public void What_it_does_not_take_the_model_decodes(string name)
    {
        using LanguageModel model = Build(Others[name]);
        Assert.False(CpuDecoder.Supports(model));
        Assert.Throws<ArgumentException>(() => new CpuDecoder(model, 1, Context));
        using DecodingSession session = new(model, CPU);
        int[] text = Ids(Context, 3); // a whole context: dynamic-ntk depends on what there is room for
        List<float[]> expected = Whole(model, text);
        for (int count = 3; count <= text.Length; count++)
            Close(expected[count - 1], session.Next([.. text[..count]]), 1e-4, $"token {count}");
    }

    [Fact]
    public void Encoders_and_their_decoders_are_not_taken()
    {
        using LanguageModel encoder = TinyModel.BuildEncoder(), translator = TinyModel.BuildEncoderDecoder();
        Assert.False(CpuDecoder.Supports(encoder) || CpuDecoder.Supports(translator));
    }

    [Fact]
    public void What_cannot_be_decoded_is_refused()
    {
        using LanguageModel model = Build(Llama);
        using CpuDecoder decoder = new(model, 1, 4);
        Assert.Throws<ArgumentException>(() => decoder.Begin([]));
        Assert.Throws<ArgumentException>(() => decoder.Begin([1, 2, 3, 4, 5]));
        decoder.Begin([1, 2, 3]);
        Assert.Throws<ArgumentOutOfRangeException>(() => decoder.Next([Vocabulary]));
        Assert.Throws<ArgumentException>(() => decoder.Next([1, 2]));
        decoder.Next([1]);
        Assert.Throws<InvalidOperationException>(() => decoder.Next([1]));
        Assert.Throws<ArgumentException>(() => new CpuDecoder(model, CpuDecoder.MaxSequences + 1, 4));
    }

    // With the forward pass over the whole text.
    private static void Agree(DecoderOptions options, int prompt)
    {
        using LanguageModel model = Build(options);
        Assert.True(CpuDecoder.Supports(model));
        int[] text = Ids(Context, seed: 2);
        List<float[]> expected = Whole(model, text);
        using CpuDecoder decoder = new(model, 1, Context);
        Close(expected[prompt - 1], decoder.Begin(text[..prompt]), 1e-5, "the prompt");
        for (int place = prompt; place < Context; place++) Close(expected[place], decoder.Next([text[place]]), 1e-5, $"token {place}");
    }

    // A whole text is rounded at more places than a token after others.
    private static void AgreesWithModelDecoder(LanguageModel model, double tolerance, params int[] prompts)
    {
        int capacity = model.Options.ContextLength, steps = capacity - prompts.Max();
        int[][] texts = [.. prompts.Select((prompt, row) => Ids(prompt + steps, seed: 2 + row))];
        using CpuDecoder decoder = new(model, prompts.Length, capacity);
        ModelDecoder[] alone = [.. prompts.Select(_ => new ModelDecoder(model, CPU, capacity, source: null))];
        for (int row = 0; row < alone.Length; row++)
        {
            int[] prompt = texts[row][..prompts[row]];
            Close(alone[row].Begin(prompt).ToArray(), decoder.Add(prompt), tolerance, $"prompt {row}");
        }
        for (int step = 0; step < steps; step++)
        {
            int[] tokens = [.. texts.Select((text, row) => text[prompts[row] + step])];
            ReadOnlySpan<float> logits = decoder.Next(tokens);
            for (int row = 0; row < alone.Length; row++)
                Close(alone[row].Next([tokens[row]]).ToArray(), logits.Slice(row * Vocabulary, Vocabulary), tolerance,
                    $"token {step} of sequence {row}");
        }
        foreach (ModelDecoder one in alone) one.Dispose();
    }

    internal static List<float[]> Whole(LanguageModel model, int[] text)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        Tensor logits = model.forward(tensor([.. text.Select(id => (long)id)], [1, text.Length]));
        return [.. Enumerable.Range(0, text.Length).Select(place => logits.select(1, place).contiguous().data<float>().ToArray())];
    }

    // Each logit, in units of the largest.
    internal static void Close(float[] expected, ReadOnlySpan<float> actual, double tolerance, string what) =>
        TensorAssert.Equal(expected, actual.ToArray(), tolerance * Math.Max(1, expected.Max(MathF.Abs)), what);

    // With a kernel by name the model decodes itself.
    private static DecoderOptions OfTheModel(DecoderOptions options) =>
        options with { Attention = options.Attention with { Kernel = AttentionKernel.Reference } };

    internal static LanguageModel Build(ModelOptions options, int vocabulary = Vocabulary)
    {
        LanguageModel model = options.Build(vocabulary);
        Randomize(model);
        model.eval();
        return model;
    }

    // Large enough for attention to be far from uniform, and no weight or bias is what it is not to be missed as: 0 or 1.
    private static void Randomize(LanguageModel model)
    {
        manual_seed(1);
        using IDisposable quiet = no_grad();
        foreach (var (name, parameter) in model.named_parameters()) parameter.normal_(name.EndsWith("orm.weight") ? 1 : 0, 0.3);
    }

    private static int[] Ids(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(Vocabulary))];
    }
}
