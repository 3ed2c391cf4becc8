using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Caches;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention.Kernels;

public class LinearKernelTests
{
    [Theory]
    [InlineData(1, 2, true)]
    [InlineData(1, 2, false)]
    [InlineData(63, 2, true)]
    [InlineData(63, 2, false)]
    [InlineData(64, 4, true)]
    [InlineData(64, 4, false)]
    [InlineData(65, 1, true)]
    [InlineData(65, 1, false)]
    [InlineData(200, 2, true)]
    [InlineData(200, 2, false)]
    public void Chunks_equal_the_quadratic_definition_forward_and_in_gradients(int length, int groups, bool causal)
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        AttentionCall call = Call(masks, causal ? new CausalPattern() : new FullPattern(), 4, groups, length);
        Tensor[] inputs = [call.Query, call.Key, call.Value];
        Tensor expected = new LinearKernel().Weights(call).matmul(KeyValueHeads.Repeat(call.Value, call.Sharing));
        Tensor actual = new LinearKernel().Attend(call), weight = randn(expected.shape);
        TensorAssert.Close(expected, actual, 1e-5);
        TensorAssert.Close(autograd.grad([expected], inputs, [weight]), autograd.grad([actual], inputs, [weight]), 5e-5);
    }

    [Fact]
    public void The_definition_is_elu_plus_one_row_by_row()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(4);
        using MaskStore masks = new();
        AttentionCall call = Call(masks, new CausalPattern(), 1, 1, 5);
        Tensor weights = new LinearKernel().Weights(call);
        for (int row = 0; row < 5; row++)
        {
            double[] products = [.. Enumerable.Range(0, row + 1).Select(
                column => Row(call.Query, row).Zip(Row(call.Key, column), (q, k) => Phi(q) * Phi(k)).Sum())];
            double[] expected = [.. products.Select(product => product / products.Sum()), .. new double[4 - row]];
            TensorAssert.Equal(expected, weights[0, 0, row], 1e-5, $"row {row}");
        }

        static double Phi(double x) => x > 0 ? x + 1 : Math.Exp(x);
        static double[] Row(Tensor heads, int row) =>
            [.. heads.select(0, 0).select(0, 0).select(0, row).contiguous().data<float>().ToArray().Select(x => (double)x)];
    }

    [Fact]
    public void The_recurrence_equals_the_chunks_whatever_the_steps()
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        AttentionCall call = Call(masks, new CausalPattern(), 4, 2, 150);
        Tensor expected = new LinearKernel().Attend(call);
        foreach (int[] steps in (int[][])[[.. Enumerable.Repeat(1, 150)], [100, 1, 49], [3, 64, 83]])
        {
            using LinearState state = new();
            List<Tensor> parts = [];
            int done = 0;
            foreach (int step in steps)
            {
                parts.Add(state.Attend(call.Query.narrow(2, done, step), call.Key.narrow(2, done, step), call.Value.narrow(2, done, step)));
                // 2 sequences · 2 heads · 8 · (8 + 1) numbers, after the first token as after the last.
                Assert.Equal(2 * 2 * 8 * 9 * 4, state.Bytes);
                done += step;
            }
            TensorAssert.Close(expected, cat([.. parts], 2), 1e-5, $"in steps of {string.Join(", ", steps)} the result");
        }
    }

    [Fact]
    public void A_model_of_linear_attention_decodes_as_it_is_trained()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(Linear());
        model.eval();
        Tensor tokens = Models.Tokens(2, 70);
        TensorAssert.Close(model.forward(tokens), Decoding.Run(model, tokens, [65, 1, 1, 3]), 2e-5);
        Assert.Equal("linear", model.Kernels()[0].Kernel);
    }

    [Fact]
    public void An_encoder_takes_it_too()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Build(new EncoderOptions
        {
            Dim = 16, Layers = 1, ContextLength = 32, Attention = new MultiHeadOptions { Heads = 4, Kernel = AttentionKernel.Linear },
        });
        Tensor tokens = Models.Tokens(1, 20), changed = Models.Changed(tokens, 19);
        Assert.False(model.forward(tokens).narrow(1, 0, 1).Equals(model.forward(changed).narrow(1, 0, 1)));
    }

    [Fact]
    public void What_makes_no_sense_is_refused_all_at_once()
    {
        ModelOptions options = Linear();
        GroupedQueryOptions attention = (GroupedQueryOptions)options.Attention;
        Assert.Equal(
            [
                "attention.kernel: linear sums over all earlier positions and cannot leave some out as pattern 'sliding' does; use " +
                "pattern 'causal' ('full' in an encoder), or kernel 'block-sparse'",
                "attention.cache: kernel 'linear' remembers one sum and no tokens, so there is nothing for cache 'paged' to keep; " +
                "leave cache out, or use kernel 'auto'",
            ],
            Models.Problems(options with
            {
                Attention = attention with { Pattern = new SlidingOptions { Window = 4 }, Cache = AttentionCache.Paged },
            }));
        Assert.Equal(
            ["attention.kernel: linear has no scores to bound (softCap); leave softCap out, or use kernel 'reference'"],
            Models.Problems(options with { Attention = attention with { SoftCap = 30 } }));
        Assert.Equal(
            ["attention.kernel: linear has no softmax to sharpen (scalableSoftmax); leave that out, or use kernel 'auto'"],
            Models.Problems(options with { Attention = attention with { ScalableSoftmax = true } }));
        Assert.Equal(
            ["attention.kernel: linear has no scores to scale (scale); leave scale out, or use kernel 'auto'"],
            Models.Problems(options with { Attention = attention with { Scale = 1 } }));
    }

    [Fact]
    public void What_positions_put_on_scores_is_refused()
    {
        ModelOptions options = Linear();
        YarnScaling yarn = new() { Factor = 4, Mscale = 1 };
        Assert.Equal(
            ["position.scaling: multiplies all scores by 1.2965 (mscaleAllDim), and kernel 'linear' has none; leave mscaleAllDim out, " +
                "or use kernel 'auto'"],
            Models.Problems(options with { Position = new RotaryOptions { Scaling = yarn with { MscaleAllDim = 1 } } }));
        Assert.Empty(Models.Problems(options with { Position = new RotaryOptions { Scaling = yarn } })); // on queries and keys, which it has
        Assert.Equal(
            ["layerPattern.1.position.scaling: multiplies all scores by 1.2965 (mscaleAllDim), and kernel 'linear' has none; leave " +
                "mscaleAllDim out, or use kernel 'auto'"],
            Models.Problems(options with { LayerPattern =
                [new(), new() { Position = new RotaryOptions { Scaling = yarn with { MscaleAllDim = 1 } } }] }));
        Assert.Equal(
            ["attention.kernel: linear has no scores to add the bias of positions 'alibi' to; use kernel 'auto', or position 'rotary' " +
                "or 'none'"],
            Models.Problems(options with { Position = new AlibiOptions() }));
        Assert.Equal(
            ["attention.kernel: linear has no weights to drop (model.dropout 0.1); set dropout to 0, or kernel to 'auto'"],
            Models.Problems(options with { Dropout = 0.1 }));
        Assert.Equal(
            ["attention.kernel: linear has no softmax to sharpen (temperature); leave that out, or use kernel 'auto'"],
            Models.Problems(options with { Attention = options.Attention with { Temperature = new() } }));
    }

    [Fact]
    public void Bias_documents_and_dropout_are_refused_when_they_come()
    {
        using DisposeScope scope = NewDisposeScope();
        using MaskStore masks = new();
        AttentionCall call = Call(masks, new CausalPattern(), 2, 2, 4);
        Tensor ids = zeros([2, 4], ScalarType.Int64);
        using DocumentIds documents = new(ids, ids);
        LinearKernel kernel = new();
        Assert.Equal(
            "linear has no scores to add these positions' bias to; set position to 'rotary' or 'none', or kernel to 'auto'",
            kernel.WhyUnsupported(call with { Bias = new((_, _) => zeros(1)) }));
        Assert.Equal(
            "linear sums over a whole row and cannot keep documents or padding in it apart; use rows of one document without padding, " +
            "or kernel 'auto'",
            kernel.WhyUnsupported(call with { Documents = documents }));
        Assert.Equal(
            "linear has no weights to drop (dropout 0.2); set dropout to 0, or kernel to 'auto'",
            kernel.WhyUnsupported(call with { Dropout = new(0.2, 0, 0, 0) }));
    }

    private static DecoderOptions Linear() => Models.Llama with
    {
        ContextLength = 80,
        Position = new RotaryOptions(),
        Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, Kernel = AttentionKernel.Linear },
    };

    private static AttentionCall Call(MaskStore masks, AttentionPattern pattern, int heads, int groups, int length)
    {
        manual_seed(3);
        Tensor Leaf(int count) => randn(2, count, length, 8, requires_grad: true);
        return new(Leaf(heads), Leaf(groups), Leaf(groups), pattern, new(0, length), new(0, length), 1, masks);
    }
}
