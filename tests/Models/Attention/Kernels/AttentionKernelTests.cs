using TorchSharp;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Kernels;

public class AttentionKernelTests
{
    /// <summary>Query heads, key-value heads, new positions, visible positions, causal.</summary>
    public static TheoryData<int, int, int, int, bool> Calls() => new()
    {
        { 4, 4, 7, 7, true },
        { 4, 2, 7, 7, true },
        { 4, 1, 7, 7, true },
        { 4, 2, 7, 7, false },
        { 4, 2, 1, 9, true },
        { 6, 3, 1, 9, true },
        { 4, 2, 3, 9, true },
        { 4, 1, 3, 9, true },
        { 4, 2, 3, 9, false },
        { 4, 2, 1, 1, true },
        { 4, 2, 20, 50, true },
        { 4, 4, 40, 41, true },
    };

    [Theory]
    [MemberData(nameof(Calls))]
    public void Flash_equals_the_reference_forward_and_in_gradients(int heads, int groups, int queries, int keys, bool causal)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor[] inputs = [Leaf(heads, queries), Leaf(groups, keys), Leaf(groups, keys)];
        Tensor weight = randn(2, heads, queries, 8);
        using MaskStore masks = new();
        AttentionPattern pattern = causal ? new CausalPattern() : new FullPattern();
        AttentionCall call = new(inputs[0], inputs[1], inputs[2], pattern, new(keys - queries, queries), new(0, keys), 0.37, masks);
        FlashKernel flash = new();
        Assert.Null(flash.WhyUnsupported(call));

        Tensor expected = new ReferenceKernel().Attend(call), actual = flash.Attend(call);
        TensorAssert.Close(expected, actual, 1e-5);
        TensorAssert.Close(autograd.grad([expected], inputs, [weight]), autograd.grad([actual], inputs, [weight]), 2e-5);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData(51, true)]
    [InlineData(31, true)]
    [InlineData(30, false)] // the last queries do not see the first cached keys, and the first ones' band would begin behind them
    [InlineData(5, false)]
    public void A_piece_of_a_sequence_after_cached_keys_is_computed_as_the_whole(int? window, bool simd)
    {
        const int Cached = 30, Start = 12, Rows = 20;
        using DisposeScope scope = NewDisposeScope();
        manual_seed(5);
        Tensor query = randn(2, 4, Rows, 16), key = randn(2, 2, Cached + Rows, 16), value = randn(2, 2, Cached + Rows, 16);
        using MaskStore masks = new();
        PatternOptions pattern = window is { } size ? new SlidingOptions { Window = size } : new CausalOptions();
        AttentionCall call = new(
            query, key, value, pattern.Build(), new(Start + Cached, Rows), new(Start, Cached + Rows), 0.37, masks);
        Assert.Equal(simd, call.IsSimdSupported);
        TensorAssert.Close(new ReferenceKernel().Attend(call), new FlashKernel().Attend(call), 1e-5);
    }

    [Fact]
    public void The_reference_is_the_formula_row_by_row()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(4);
        Tensor query = randn(1, 2, 5, 8), key = randn(1, 1, 5, 8), value = randn(1, 1, 5, 8);
        using MaskStore masks = new();
        Tensor result = new ReferenceKernel().Attend(new(query, key, value, new CausalPattern(), new(0, 5), new(0, 5), 0.5, masks));
        for (int head = 0; head < 2; head++)
        for (int row = 0; row < 5; row++)
        {
            double[] weights = [.. Enumerable.Range(0, row + 1).Select(
                column => Math.Exp(0.5 * Dot(Row(query, head, row), Row(key, 0, column))))];
            double[] expected = [.. Enumerable.Range(0, 8).Select(
                d => weights.Select((weight, column) => weight / weights.Sum() * Row(value, 0, column)[d]).Sum())];
            TensorAssert.Equal(expected, Row(result, head, row), 1e-5, $"row {row} of head {head}");
        }
    }

    [Fact]
    public void A_bias_is_added_to_the_scores_by_the_reference_and_refused_by_flash()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(12);
        Tensor query = randn(1, 2, 3, 8), key = randn(1, 2, 3, 8), value = randn(1, 2, 3, 8);
        using MaskStore masks = new();
        // So large a bias on one key that nothing else is seen.
        Tensor bias = zeros(1, 2, 3, 3);
        bias.narrow(3, 1, 1).fill_(1000);
        AttentionCall call = new(query, key, value, new FullPattern(), new(0, 3), new(0, 3), 1, masks) { Bias = new((_, _) => bias) };
        Tensor expected = value.narrow(2, 1, 1).expand(1, 2, 3, 8);
        TensorAssert.Close(expected, new ReferenceKernel().Attend(call), 1e-6);
        Assert.Equal(
            "flash cannot add these positions' bias to the scores; set kernel to 'auto' or 'reference', or position to 'rotary'",
            new FlashKernel().WhyUnsupported(call));
    }

    [Fact]
    public void Consecutive_query_heads_share_a_key_head()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor heads = tensor([10f, 20f, 30f]).view(1, 3, 1, 1);
        Assert.Equal([10f, 10f, 20f, 20f, 30f, 30f], KeyValueHeads.Repeat(heads, 2).reshape(-1).data<float>().ToArray());
    }

    [Fact]
    public void A_mask_is_made_once_for_a_shape()
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        CausalPattern pattern = new();
        Tensor first = masks.Get(pattern, new(2, 2), new(0, 4), CPU);
        Assert.Equal([true, true, true, false, true, true, true, true], first.reshape(-1).data<bool>().ToArray());
        Assert.Same(first, masks.Get(pattern, new(2, 2), new(0, 4), device("cpu")));
        Assert.NotSame(first, masks.Get(pattern, new(0, 4), new(0, 4), CPU));
    }

    // The form that is for GPUs, on the CPU.
    [Theory]
    [InlineData(3, 9, false)]
    [InlineData(16, 16, false)]
    [InlineData(13, 13, true)]
    public void A_mask_that_is_added_to_scores_is_made_once_and_hides_the_same_keys(int queries, int keys, bool packed)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(6);
        Tensor query = randn(2, 4, queries, 8), key = randn(2, 4, keys, 8), value = randn(2, 4, keys, 8);
        Tensor ids = tensor([.. Enumerable.Range(0, 2 * keys).Select(place => (long)(place / 5))], [2, keys]);
        using DocumentIds documents = new(ids, ids);
        using MaskStore masks = new();
        AttentionCall call = new(query, key, value, new CausalPattern(), new(keys - queries, queries), new(0, keys), 0.37, masks)
        {
            Documents = packed ? documents : null,
        };

        Tensor mask = call.AdditiveMask();

        Assert.Same(mask, call.AdditiveMask());
        Assert.Equal(call.Mask().shape, mask.shape);
        Assert.All(mask.stride()[..^1], stride => Assert.Equal(0, stride % 8));
        TensorAssert.Close(
            new ReferenceKernel().Attend(call), ScaledDotProductAttention.Attend(query, key, value, mask, scale: call.Scale), 1e-5);
    }

    [Fact]
    public void The_report_says_what_runs()
    {
        using LanguageModel auto = Models.Llama.Build(Models.Vocabulary);
        Assert.Equal([new(0, "flash", AttentionBackend.Flash), new(1, "flash", AttentionBackend.Flash)], auto.Kernels());

        using LanguageModel reference = Models.Variant("multi-head", "rotary", AttentionKernel.Reference).Build(Models.Vocabulary);
        Assert.Equal(new(1, "reference", null), reference.Kernels()[1]);
    }

    [Fact]
    public void Dropout_of_heads_that_flash_cannot_drop_on_the_cpu_makes_auto_take_the_reference_while_training_only()
    {
        using LanguageModel model = (Models.Llama with { Dropout = 0.1 }).Build(Models.Vocabulary);
        Assert.Equal("reference", model.Kernels()[0].Kernel);
        model.eval();
        Assert.Equal("flash", model.Kernels()[0].Kernel);
    }

    [Fact]
    public void Flash_demanded_with_dropout_on_the_cpu_is_an_error_not_a_fallback()
    {
        DecoderOptions options = Models.Variant("multi-head", "rotary", AttentionKernel.Flash) with { Dropout = 0.1 };
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = options.Build(Models.Vocabulary);
        const string expected =
            "model.attention.kernel: on the CPU flash drops attention weights (dropout 0.1) only of 16 or more positions, each " +
            "document of them in one piece, in heads whose width is a multiple of 8, on a processor with AVX2 or NEON; set dropout to " +
            "0, or kernel to 'auto' or 'reference'";
        Assert.Equal(expected, Assert.Throws<UserException>(() => model.Kernels()).Message);
        Assert.Equal(expected, Assert.Throws<UserException>(() => model.forward(Models.Tokens(1, 4))).Message);
        model.eval();
        model.forward(Models.Tokens(1, 4));
    }

    [Fact]
    public void Dropout_keeps_flash_where_the_band_kernel_runs()
    {
        DecoderOptions options =
            Models.Llama with { Dim = 32, Attention = new MultiHeadOptions { Heads = 2 }, ContextLength = 64, Dropout = 0.1 };
        using LanguageModel model = options.Build(Models.Vocabulary);
        Assert.SkipUnless(Trainer.Kernels.FlashAttention.IsSupported(16, ScalarType.Float32), "this processor has no AVX-512");
        Assert.Equal(new("flash", AttentionBackend.Simd), (model.Kernels()[0].Kernel, model.Kernels()[0].Backend!.Value));
    }

    private static Tensor Leaf(int heads, int positions) => randn(2, heads, positions, 8, requires_grad: true);

    private static double[] Row(Tensor heads, int head, int row) =>
        [.. heads.select(0, 0).select(0, head).select(0, row).contiguous().data<float>().ToArray().Select(value => (double)value)];

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    [Theory]
    [MemberData(nameof(Models.FlashVariants), MemberType = typeof(Models))]
    public void Flash_equals_the_reference_for_every_projection_and_position(string projection, string position)
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel reference = Models.Build(Models.Variant(projection, position, AttentionKernel.Reference));
        using LanguageModel flash = Models.Build(Models.Variant(projection, position, AttentionKernel.Flash));
        Tensor tokens = Models.Tokens(2, 8), targets = Models.Tokens(2, 8, seed: 5);
        TensorAssert.Close(reference.forward(tokens), flash.forward(tokens), 2e-5);
        Models.HaveCloseGradients(reference, flash, tokens, targets);
    }
}
