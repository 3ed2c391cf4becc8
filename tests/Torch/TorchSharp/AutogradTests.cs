using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

/// <summary>Derivatives against central differences in double precision.</summary>
public sealed class AutogradTests
{
    private static readonly Dictionary<string, (Func<Tensor, Tensor> Function, long[] Shape)> Table = new()
    {
        ["polynomial"] = (x => x * x * x - 2 * x + 1 / (x * x + 1), [3]),
        ["transcendental"] = (x => x.sin() * x.exp() + x.tanh() * x.cos() + (x * x + 1).log() + (x * x + 1).rsqrt(), [4]),
        ["activations"] = (x => nn.functional.gelu(x) + nn.functional.silu(x) * x.sigmoid() + x.erf(), [5]),
        ["broadcast"] = (x => x.view(2, 1) * x.view(1, 2), [2]),
        ["matmul"] = (x => x.matmul(x.mT).matmul(x), [2, 3]),
        ["einsum"] = (x => einsum("bij,bkj->bik", x, x), [2, 2, 2]),
        ["softmax"] = (x => x.softmax(-1) * x, [2, 3]),
        ["log_softmax"] = (x => x.log_softmax(0) * x, [3, 2]),
        ["logsumexp"] = (x => x.logsumexp(1), [2, 3]),
        ["layer_norm"] = (x => nn.functional.layer_norm(x, [4]).pow(3), [2, 4]),
        ["rms_norm"] = (x => Functional.RmsNorm(x, [4]).pow(3), [2, 4]),
        ["var"] = (x => x.var(1) + x.std(1), [2, 4]),
        ["index"] = (x => x[1, ..2] * x[0, 1..] + x.gather(1, tensor([2L, 0L], [2, 1])), [2, 3]),
        ["split and cat"] = (x => cat(x.split(2, dim: 1).Reverse(), dim: 1) * x, [2, 4]),
        ["views"] = (x => x.transpose(0, 1).reshape(6) * x.flip(1).flatten() + x.repeat_interleave(2, 0).roll(1, 0).sum(), [2, 3]),
        ["complex"] = (x => (x.view_as_complex() * (x * x).view_as_complex()).view_as_real(), [3, 2]),
        ["masks"] = (x => x.masked_fill(tensor([true, false, false]), 0).cumsum(0) + where(tensor([false, true, true]), x * x, x), [3]),
        ["reductions"] = (x => x.sum(0) * x.mean(1, keepdim: true).sum() + x.max() * x.norm(), [2, 3]),
        ["cross_entropy"] = (x => nn.functional.cross_entropy(x, tensor([2L, -100L, 0L]), label_smoothing: 0.1), [3, 3]),
        ["attention"] = (x => nn.functional.scaled_dot_product_attention(x, x * 2, x * x, is_casual: true), [1, 2, 3, 4]),
        ["bilinear"] = (x => nn.functional.linear(x, x, x.sum(1)), [3, 3]),
    };

    public static TheoryData<string> Names => [.. Table.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Derivatives_agree_with_differences(string name)
    {
        using var scope = NewDisposeScope();
        var (function, shape) = Table[name];
        var random = new Generator(11);
        var point = randn(shape, ScalarType.Float64, generator: random);
        var weights = randn(function(point).shape, ScalarType.Float64, generator: random);

        var x = point.clone().requires_grad_();
        (function(x) * weights).sum().backward();
        TensorAssert.Close(Differences(value => (function(value) * weights).sum().ToDouble(), point), x.grad!, 1e-6);
    }

    [Fact]
    public void Gradients_add_up_until_they_are_cleared()
    {
        using var scope = NewDisposeScope();
        var x = tensor(3f, requires_grad: true);
        Assert.Null(x.grad);
        (x * x).backward();
        (x * x).backward();
        Assert.Equal(12, x.grad!.ToSingle());
        x.grad = null;
        Assert.Null(x.grad);
        x.grad = tensor(5f);
        (x * x).backward();
        Assert.Equal(11, x.grad!.ToSingle());
    }

    [Fact]
    public void Second_derivatives_come_from_a_recorded_backward_pass()
    {
        using var scope = NewDisposeScope();
        var x = tensor(2.0, requires_grad: true);
        var first = autograd.grad([x.pow(3)], [x], create_graph: true)[0]!;
        var second = autograd.grad([first], [x])[0]!;
        Assert.Equal(12, first.ToDouble(), 12);
        Assert.Equal(12, second.ToDouble(), 12);
        Assert.Null(x.grad);
    }

    [Fact]
    public void An_input_that_plays_no_part_is_null_or_an_error()
    {
        using var scope = NewDisposeScope();
        Tensor x = tensor(2f, requires_grad: true), unused = tensor(1f, requires_grad: true);
        Assert.Null(autograd.grad([x * x], [unused], allow_unused: true)[0]);
        Assert.Contains("not have been used", Assert.Throws<TorchException>(() => autograd.grad([x * x], [unused])).Message);
    }

    [Fact]
    public void A_graph_runs_twice_only_when_kept()
    {
        using var scope = NewDisposeScope();
        var x = tensor(2f, requires_grad: true);
        var y = x * x;
        y.backward(retain_graph: true);
        y.backward();
        Assert.Equal(8, x.grad!.ToSingle());
        Assert.Contains("backward through the graph a second time", Assert.Throws<TorchException>(() => y.backward()).Message);
    }

    [Fact]
    public void Detached_tensors_pass_no_gradient_and_inner_ones_keep_it_on_request()
    {
        using var scope = NewDisposeScope();
        var x = tensor(2f, requires_grad: true);
        var y = x * 3;
        y.retain_grad();
        (y * y.detach()).backward();
        Assert.Equal(6, y.grad!.ToSingle());
        Assert.Equal(18, x.grad!.ToSingle());
        Assert.True(x.is_leaf);
        Assert.False(y.is_leaf);
        Assert.False(y.detach().requires_grad);
    }

    [Fact]
    public void Writing_in_place_over_what_backward_needs_is_an_error()
    {
        using var scope = NewDisposeScope();
        var x = tensor(2f, requires_grad: true);
        var y = x.exp();
        var z = y * y;
        y.add_(1);
        Assert.Contains("modified by an inplace operation", Assert.Throws<TorchException>(() => z.backward()).Message);
        Assert.Contains("leaf Variable that requires grad", Assert.Throws<TorchException>(() => x.add_(1)).Message);
    }

    [Fact]
    public void The_embedding_s_padding_entry_gets_no_gradient()
    {
        using var scope = NewDisposeScope();
        var weight = ones([3, 2], requires_grad: true);
        Functional.Embedding(tensor([0L, 1L, 1L]), weight, paddingIndex: 0).sum().backward();
        TensorAssert.Equal([0, 0, 2, 2, 0, 0], weight.grad!);
    }

    private static Tensor Differences(Func<Tensor, double> function, Tensor point)
    {
        const double Step = 1e-5;
        var result = zeros_like(point);
        for (var i = 0; i < point.numel(); i++)
        {
            Tensor above = point.clone(), below = point.clone();
            above.data<double>()[i] += Step;
            below.data<double>()[i] -= Step;
            result.data<double>()[i] = (function(above) - function(below)) / (2 * Step);
        }

        return result;
    }
}
