using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Models.Tests.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Kernels;

public class SparseModelTests
{
    public static TheoryData<string> Names() => PatternCases.Names();

    [Theory]
    [MemberData(nameof(Names))]
    public void Block_sparse_equals_the_reference_in_logits_and_every_gradient(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        PatternOptions pattern = PatternCases.All[name].Options;
        using LanguageModel reference = Models.Build(With(pattern, AttentionKernel.Reference));
        using LanguageModel sparse = Models.Build(With(pattern, AttentionKernel.BlockSparse));
        Tensor tokens = Models.Tokens(2, 40), targets = Models.Tokens(2, 40, seed: 5);
        TensorAssert.Close(reference.forward(tokens), sparse.forward(tokens), 2e-5);
        Models.HaveCloseGradients(reference, sparse, tokens, targets);
    }

    private static readonly Dictionary<string, PatternOptions> Biased = new()
    {
        ["causal"] = new CausalOptions(),
        ["sliding"] = new SlidingOptions { Window = 9, Sinks = 2 },
        ["longformer"] = new LongformerOptions { Window = 5, GlobalTokens = 2 },
    };

    public static MatrixTheoryData<string, string> Biases() => new(["alibi", "t5"], Biased.Keys);

    [Theory]
    [MemberData(nameof(Biases))]
    public void Positions_that_add_to_the_scores_come_through_with_their_gradients(string position, string pattern)
    {
        using DisposeScope scope = NewDisposeScope();
        PositionOptions positions = position == "alibi" ? new AlibiOptions() : new T5BiasOptions();
        Tensor tokens = Models.Tokens(2, 40), targets = Models.Tokens(2, 40, seed: 5);
        using LanguageModel reference = Models.Build(With(Biased[pattern], AttentionKernel.Reference) with { Position = positions });
        using LanguageModel sparse = Models.Build(With(Biased[pattern], AttentionKernel.BlockSparse) with { Position = positions });
        Models.HaveCloseGradients(reference, sparse, tokens, targets);
    }

    [Fact]
    public void Auto_takes_block_sparse_for_long_sparse_sequences_and_the_report_names_it()
    {
        using LanguageModel model = With(new SlidingOptions { Window = 16 }, AttentionKernel.Auto).Build(Models.Vocabulary);
        Assert.Equal(new KernelReport(0, "block-sparse", null), model.Kernels(1024)[0]);
        Assert.Equal("reference", model.Kernels(32)[0].Kernel);
    }

    [Fact]
    public void Auto_takes_block_sparse_where_flash_cannot_bound_scores()
    {
        ModelOptions options = With(new CausalOptions(), AttentionKernel.Auto);
        using LanguageModel model = (options with { Attention = options.Attention with { SoftCap = 30 } }).Build(Models.Vocabulary);
        Assert.Equal("block-sparse", model.Kernels(1024)[0].Kernel);
    }

    [Fact]
    public void Flash_demanded_for_a_sparse_pattern_names_the_kernel_that_can() =>
        Expect(With(new StridedOptions { Stride = 8 }, AttentionKernel.Flash),
            "attention.kernel: flash computes the patterns full and causal, not 'strided'; use kernel 'block-sparse'");

    [Fact]
    public void A_decoder_refuses_a_window_both_ways() =>
        Expect(
            With(new CausalOptions(), AttentionKernel.Auto) with
            {
                Attention = Attention(new SlidingOptions { Window = 8, Causal = false }, AttentionKernel.Auto),
            },
            "attention.pattern: type 'sliding' lets a decoder see the token it has to predict; set causal to true");

    [Fact]
    public void An_encoder_refuses_a_causal_window() =>
        Expect(Encoder(new SlidingOptions { Window = 8 }, AttentionKernel.Auto),
            "attention.pattern: type 'sliding' keeps an encoder from seeing what follows; set causal to false, or set " +
            "model.architecture to 'decoder'");

    [Fact]
    public void A_block_holds_its_summary() =>
        Expect(With(new FixedOptions { Stride = 8, Summary = 9 }, AttentionKernel.Auto),
            "attention.pattern.summary: summary (9) must not be more than stride (8), the positions of a block; use at most 8, or type " +
            "'causal' to see all");

    private static ModelOptions With(PatternOptions pattern, AttentionKernel kernel) => pattern.IsCausal
        ? Models.Llama with { ContextLength = 40, Attention = Attention(pattern, kernel) }
        : Encoder(pattern, kernel);

    private static EncoderOptions Encoder(PatternOptions pattern, AttentionKernel kernel) =>
        new() { Dim = 16, Layers = 2, ContextLength = 40, Attention = Attention(pattern, kernel) };

    private static GroupedQueryOptions Attention(PatternOptions pattern, AttentionKernel kernel) =>
        new() { Heads = 4, KeyValueHeads = 2, Pattern = pattern, Kernel = kernel };

    private static void Expect(ModelOptions options, string expected) => Assert.Equal([expected], Models.Problems(options));
}
