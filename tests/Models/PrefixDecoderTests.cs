using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Models.Tests;

/// <summary>Decoders that read the first tokens of a row together: they are given those, and asked only for the ones behind them.</summary>
public class PrefixDecoderTests
{
    private const int Prefix = 5, Length = 12;

    [Fact]
    public void Targets_within_the_prefix_are_not_scored_and_all_others_are()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(With());
        Tensor tokens = Models.Tokens(2, Length + 1), input = tokens.narrow(1, 0, Length), targets = tokens.narrow(1, 1, Length);
        // The place P − 1 predicts the first token behind the prefix.
        Tensor logits = model.forward(input).narrow(1, Prefix - 1, Length - Prefix + 1);
        Tensor expected = functional.cross_entropy(
            logits.reshape(-1, Models.Vocabulary), targets.narrow(1, Prefix - 1, Length - Prefix + 1).reshape(-1),
            reduction: Reduction.Sum);
        Assert.Equal(expected.ToSingle(), model.LossSum(input, targets).ToSingle(), 1e-4f);
        for (int place = 0; place < Length; place++)
        {
            float changed = model.LossSum(input, Models.Changed(targets, place)).ToSingle();
            Assert.Equal(place >= Prefix - 1, model.LossSum(input, targets).ToSingle() != changed);
        }
        Assert.Equal(0, model.LossSum(input.narrow(1, 0, 3), targets.narrow(1, 0, 3)).ToSingle());
    }

    [Theory]
    [InlineData("multi-head")]
    [InlineData("latent")]
    public void What_is_scored_depends_on_the_whole_prefix_and_on_nothing_later(string projection)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(With(Models.Projections[projection]));
        Tensor tokens = Models.Tokens(1, Length), logits = model.forward(tokens);
        for (int changed = 0; changed < Length; changed++)
        {
            Tensor others = model.forward(Models.Changed(tokens, changed));
            for (int place = 0; place < Length; place++)
            {
                bool sees = changed <= place || (changed < Prefix && place < Prefix);
                Assert.Equal(sees, !logits.select(1, place).Equals(others.select(1, place)));
            }
        }
    }

    [Fact]
    public void The_longest_prefix_of_any_layer_counts()
    {
        DecoderOptions options = With() with
        {
            LayerPattern =
                [Group(new PrefixOptions { PrefixLength = 3 }), Group(new CausalOptions()), Group(new PrefixOptions { PrefixLength = 7 })],
        };
        Assert.Equal(3, (options with { Layers = 2 }).PrefixLength());
        Assert.Equal(7, (options with { Layers = 3 }).PrefixLength());
        Assert.Equal(1, (options with { LayerPattern = [Group(new CausalOptions())] }).PrefixLength());
        Assert.Equal(1, Models.Encoder.PrefixLength());

        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(options with { Layers = 3 });
        Tensor tokens = Models.Tokens(1, Length), logits = model.forward(tokens);
        for (int place = 6; place + 1 < Length; place++)
            TensorAssert.Same(
                logits.narrow(1, 0, place + 1), model.forward(Models.Changed(tokens, place + 1)).narrow(1, 0, place + 1));

        static LayerGroupOptions Group(PatternOptions pattern) =>
            new() { Attention = new MultiHeadOptions { Heads = 4, Pattern = pattern } };
    }

    public static MatrixTheoryData<string, AttentionCache> Caches() =>
        new(Models.Projections.Keys, [AttentionCache.Contiguous, AttentionCache.Paged]);

    [Theory]
    [MemberData(nameof(Caches))]
    public void Decoding_equals_the_full_forward_once_the_prefix_is_given_at_once(string projection, AttentionCache cache)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(With(Models.Projections[projection] with { Cache = cache }));
        model.eval();
        Tensor tokens = Models.Tokens(2, Length), expected = model.forward(tokens);
        foreach (int[] steps in (int[][])[[Prefix, 1, 1, 1, 1, 1, 1, 1], [Prefix + 2, 3, 2], [Length]])
            TensorAssert.Close(expected, Decoding.Run(model, tokens, steps), 5e-5, $"in steps of {string.Join(", ", steps)} the result");
    }

    [Fact]
    public void A_prompt_shorter_than_the_prefix_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(With());
        using DecodingState state = model.NewDecodingState(1, Length);
        Assert.Equal(
            "the prompt has 4 tokens, but the model reads a prefix of 5 together before it writes (attention pattern 'prefix'); give " +
            "at least 5 tokens",
            Assert.Throws<UserException>(() => model.NextLogits(Models.Tokens(1, 4), state)).Message);
        Assert.Equal(0, state.Length);
    }

    [Theory]
    [InlineData(40)]
    [InlineData(260)] // beyond the first tile of the block-sparse kernel
    public void Kernels_agree_in_loss_and_gradients(int prefix)
    {
        using DisposeScope scope = NewDisposeScope();
        AttentionOptions attention =
            new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, Pattern = new PrefixOptions { PrefixLength = prefix } };
        Tensor tokens = Models.Tokens(2, 301);
        (Tensor loss, Dictionary<string, Tensor> gradients) = Differentiated(AttentionKernel.Reference);
        foreach (AttentionKernel kernel in (AttentionKernel[])[AttentionKernel.BlockSparse, AttentionKernel.Auto])
        {
            (Tensor its, Dictionary<string, Tensor> own) = Differentiated(kernel);
            Assert.Equal(1, its.ToSingle() / loss.ToSingle(), 1e-5f);
            foreach (var (name, gradient) in gradients)
                TensorAssert.CloseToScale(gradient, own[name], 1e-4, what: $"the gradient of {name} by {kernel}");
        }

        (Tensor, Dictionary<string, Tensor>) Differentiated(AttentionKernel kernel)
        {
            using LanguageModel model = Models.Build(
                Models.Llama with { ContextLength = 300, Attention = attention with { Kernel = kernel } });
            Tensor loss = model.LossSum(tokens.narrow(1, 0, 300), tokens.narrow(1, 1, 300));
            loss.backward();
            return (loss, model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter.grad!.clone()));
        }
    }

    [Theory]
    [InlineData(
        AttentionKernel.Flash, "attention.kernel: flash computes the patterns full and causal, not 'prefix'; use kernel 'block-sparse'")]
    [InlineData(
        AttentionKernel.Linear,
        "attention.kernel: linear sums over all earlier positions and cannot leave some out as pattern 'prefix' does; use pattern " +
        "'causal' ('full' in an encoder), or kernel 'block-sparse'")]
    public void Kernels_that_cannot_are_refused(AttentionKernel kernel, string message) =>
        Assert.Equal([message], Models.Problems(With(new MultiHeadOptions { Heads = 4, Kernel = kernel })));

    [Fact]
    public void A_prefix_leaves_something_to_predict_and_is_a_decoders_alone()
    {
        Assert.Empty(Models.Problems(With() with { ContextLength = Prefix }));
        Assert.Equal(
            ["attention.pattern: prefixLength (5) is more than contextLength (4), so that no token is left to predict; use at most 4"],
            Models.Problems(With() with { ContextLength = 4 }));
        Assert.Equal(
            ["attention.pattern: type 'prefix' lets the decoder see the token it has to predict; use 'causal' (the encoder's is " +
                "encoderPattern)"],
            Models.Problems(Models.EncoderDecoder with { Attention = With().Attention }));
    }

    private static DecoderOptions With(AttentionOptions? attention = null) => Models.Llama with
    {
        ContextLength = 16,
        Position = new RotaryOptions(),
        Attention = (attention ?? new MultiHeadOptions { Heads = 4 }) with { Pattern = new PrefixOptions { PrefixLength = Prefix } },
    };
}
