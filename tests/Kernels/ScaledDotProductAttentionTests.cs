using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class ScaledDotProductAttentionTests
{
    public static TheoryData<bool, double?, bool> Variants =>
        new MatrixTheoryData<bool, double?, bool>([false, true], [null, 0.3], [false, true]);

    // The blocked kernel may sum in another order: equal to a few last bits, gradients included. Up to 2.6 at least, the
    // CPU's kernel refuses grouped heads; they are repeated for it there.
    [Theory]
    [MemberData(nameof(Variants))]
    public void Flash_equals_the_plain_computation_forward_and_backward(bool causal, double? scale, bool grouped)
    {
        using var scope = NewDisposeScope();
        var (flash, flashGradients) = Run(AttentionBackend.Flash, causal, scale, grouped);
        var (plain, plainGradients) = Run(AttentionBackend.Math, causal, scale, grouped);
        TensorAssert.Close(plain, flash, 1e-5);
        TensorAssert.Close(plainGradients, flashGradients, 1e-5);
    }

    [Fact]
    public void The_plain_computation_is_the_formula()
    {
        using var scope = NewDisposeScope();
        Tensor q = Random(1, 2, 3, 4), k = Random(1, 2, 5, 4), v = Random(1, 2, 5, 4), mask = Random(3, 5);
        var expected = (q.matmul(k.mT) / 2 + mask).softmax(-1).matmul(v);
        TensorAssert.Close(expected, ScaledDotProductAttention.Attend(q, k, v, mask, backend: AttentionBackend.Math), 1e-6);
        TensorAssert.Close(expected, ScaledDotProductAttention.Attend(q, k, v, mask), 1e-6);
        TensorAssert.Close(expected, nn.functional.scaled_dot_product_attention(q, k, v, attn_mask: mask), 1e-6);
    }

    // Query head h reads group ⌊h·g/H⌋: consecutive heads share (repeat), they do not alternate (tile).
    [Fact]
    public void Grouped_heads_are_repeated_not_tiled()
    {
        using var scope = NewDisposeScope();
        Tensor q = Random(1, 4, 3, 8), k = Random(1, 2, 3, 8), v = Random(1, 2, 3, 8);
        var grouped = ScaledDotProductAttention.Attend(q, k, v, isCausal: true, enableGqa: true);
        var repeated = ScaledDotProductAttention.Attend(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), isCausal: true);
        var tiled = ScaledDotProductAttention.Attend(q, k.repeat(1, 2, 1, 1), v.repeat(1, 2, 1, 1), isCausal: true);
        TensorAssert.Close(repeated, grouped, 1e-6);
        Assert.False(tiled.allclose(grouped, atol: 1e-3));
    }

    [Fact]
    public void A_truth_mask_is_what_may_be_seen()
    {
        using var scope = NewDisposeScope();
        Tensor q = Random(1, 1, 3, 8), k = Random(1, 1, 3, 8), v = Random(1, 1, 3, 8);
        var mask = ones([3, 3], ScalarType.Bool).tril();
        TensorAssert.Close(ScaledDotProductAttention.Attend(q, k, v, isCausal: true), ScaledDotProductAttention.Attend(q, k, v, mask),
            1e-6);
    }

    [Fact]
    public void The_report_names_the_kernel_that_would_run()
    {
        using var scope = NewDisposeScope();
        var q = Random(2, 4, 16, 32);
        Assert.Equal(AttentionBackend.Flash, ScaledDotProductAttention.Backend(q, q, q));
        Assert.Equal(AttentionBackend.Flash, ScaledDotProductAttention.Backend(q, q, q, isCausal: true, scale: 0.5));
        Assert.Equal(AttentionBackend.Math, ScaledDotProductAttention.Backend(q, q, q, dropout: 0.1));
        Assert.Equal(AttentionBackend.Math, ScaledDotProductAttention.Backend(q, q, q, backend: AttentionBackend.Math));
        Assert.Equal(AttentionBackend.Math, ScaledDotProductAttention.Backend(q, q.to(ScalarType.Float64), q));
    }

    [Theory]
    [InlineData("dropout")]
    [InlineData("mask that needs a gradient")]
    [InlineData("integer")]
    [InlineData("three dimensions")]
    public void Flash_that_cannot_run_is_an_error_and_the_choice_is_free_again(string why)
    {
        using var scope = NewDisposeScope();
        var q = Random(1, 2, 4, 8);
        var error = Assert.Throws<TorchException>(() => why switch
        {
            "dropout" => ScaledDotProductAttention.Attend(q, q, q, dropout: 0.5, backend: AttentionBackend.Flash),
            "mask that needs a gradient" =>
                ScaledDotProductAttention.Attend(q, q, q, zeros([4, 4], requires_grad: true), backend: AttentionBackend.Flash),
            "integer" => ScaledDotProductAttention.Attend(
                q.to(ScalarType.Int32), q.to(ScalarType.Int32), q.to(ScalarType.Int32), backend: AttentionBackend.Flash),
            _ => ScaledDotProductAttention.Attend(q[0], q[0], q[0], backend: AttentionBackend.Flash),
        });
        Assert.Contains("the required attention backend cannot run with these inputs", error.Message);

        Assert.Equal(AttentionBackend.Flash, ScaledDotProductAttention.Backend(q, q, q));
        Assert.Equal(AttentionBackend.Math, ScaledDotProductAttention.Backend(q, q, q, dropout: 0.5));
        Assert.Equal([1, 2, 4, 8], ScaledDotProductAttention.Attend(q, q, q, dropout: 0.5).shape);
    }

    [Fact]
    public void The_error_says_what_was_asked()
    {
        using var scope = NewDisposeScope();
        var q = Random(1, 2, 4, 8);
        var error = Assert.Throws<TorchException>(
            () => ScaledDotProductAttention.Attend(q, q, q, dropout: 0.5, backend: AttentionBackend.Flash));
        Assert.StartsWith("the required attention backend cannot run with these inputs (query [1, 2, 4, 8] Float32 on cpu, " +
            "key [1, 2, 4, 8], mask none, dropout 0.5, enable_gqa 0); ", error.Message);
        Assert.EndsWith("libtorch would take None", error.Message);
    }

    // Which of these flash takes differs between versions and devices; the report and the requirement have to agree.
    [Theory]
    [InlineData(8, true)]
    [InlineData(320, false)]
    [InlineData(320, true)]
    public void What_is_reported_is_what_can_be_required(int headDim, bool withMask)
    {
        using var scope = NewDisposeScope();
        var q = Random(1, 2, 4, headDim);
        var mask = withMask ? Random(4, 4) : null;
        var expected = ScaledDotProductAttention.Attend(q, q, q, mask, backend: AttentionBackend.Math);
        var report = ScaledDotProductAttention.Backend(q, q, q, mask);
        TestContext.Current.TestOutputHelper?.WriteLine($"head dimension {headDim}, mask {withMask}: {report}");
        if (report == AttentionBackend.Flash)
            TensorAssert.Close(expected, ScaledDotProductAttention.Attend(q, q, q, mask, backend: AttentionBackend.Flash), 1e-5);
        else
            Assert.Throws<TorchException>(() => ScaledDotProductAttention.Attend(q, q, q, mask, backend: AttentionBackend.Flash));
    }

    [Fact]
    public void A_kernel_that_cannot_run_is_reported_as_none()
    {
        using var scope = NewDisposeScope();
        var q = Random(1, 2, 4, 8);
        Assert.Equal(AttentionBackend.None, ScaledDotProductAttention.Backend(q, q, q, dropout: 0.5, backend: AttentionBackend.Flash));
        Assert.Equal(AttentionBackend.None, ScaledDotProductAttention.Backend(q, q, q, backend: AttentionBackend.CuDnn));
    }

    [Fact]
    public void Kernels_of_other_devices_cannot_be_required_here()
    {
        using var scope = NewDisposeScope();
        var q = Random(1, 2, 4, 8);
        Assert.Throws<TorchException>(() => ScaledDotProductAttention.Attend(q, q, q, backend: AttentionBackend.CuDnn));
        Assert.Throws<TorchException>(() => ScaledDotProductAttention.Attend(q, q, q, backend: AttentionBackend.Efficient));
    }

    [Fact]
    public void A_scale_that_is_not_positive_is_refused()
    {
        using var q = zeros(1, 1, 1, 1);
        Assert.Throws<ArgumentOutOfRangeException>(() => ScaledDotProductAttention.Attend(q, q, q, scale: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => ScaledDotProductAttention.Backend(q, q, q, scale: -1));
    }

    private static Tensor Random(params long[] shape) => randn(shape, generator: new Generator((ulong)shape.Sum() + 5));

    private static (Tensor Result, Tensor[] Gradients) Run(AttentionBackend backend, bool causal, double? scale, bool grouped)
    {
        var groups = grouped ? 2 : 4;
        Tensor[] inputs = [Random(2, 4, 33, 16), Random(2, groups, 33, 16), Random(2, groups, 33, 16).flip(2).contiguous()];
        foreach (var input in inputs) input.requires_grad = true;
        Tensor q = inputs[0], k = inputs[1], v = inputs[2];
        if (grouped && ScaledDotProductAttention.Backend(q, k, v, null, 0, causal, scale, grouped, backend) == AttentionBackend.None)
            (k, v, grouped) = (k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), false);
        Assert.Equal(backend, ScaledDotProductAttention.Backend(q, k, v, null, 0, causal, scale, grouped, backend));
        var result = ScaledDotProductAttention.Attend(q, k, v, null, 0, causal, scale, grouped, backend);
        (result * Random(2, 4, 33, 16)).sum().backward();
        return (result, [.. inputs.Select(input => input.grad!)]);
    }
}
