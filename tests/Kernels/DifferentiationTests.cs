using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class DifferentiationTests
{
    private delegate Tensor?[] Way(IReadOnlyList<Tensor> outputs, IReadOnlyList<Tensor> inputs, IReadOnlyList<Tensor>? gradients);

    [Fact]
    public void Both_ways_give_the_same_gradients_and_none_for_what_is_not_used()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(3, 4).requires_grad_(), bias = randn(3, 1).requires_grad_(), other = randn(2).requires_grad_(), dy = randn(3, 4);
        Tensor?[] Gradients(Way grad) => grad([(x.exp() + bias).sin(), x.sum()], [x, other, bias], [dy, ones([])]);

        Tensor?[] direct = Gradients(Differentiation.Grad), caught = Gradients(Differentiation.GradOrThrow);

        TensorAssert.SameBits(direct[0]!, caught[0]!);
        TensorAssert.SameBits(direct[2]!, caught[2]!);
        Assert.Null(direct[1]);
        Assert.Null(caught[1]);
        Assert.Null(x.grad);
    }

    [Fact]
    public void What_libtorch_refuses_is_an_exception_without_the_script()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(3, 4).requires_grad_();

        var error = Assert.Throws<TorchException>(() => Differentiation.GradOrThrow([x.exp()], [x], [ones(5)]));

        Assert.StartsWith("invalid gradient at index 0 - got [5]", error.Message);
        Assert.False(error.IsOutOfMemory);
    }

    [Fact]
    public void What_a_node_throws_is_thrown_also_when_it_differentiates_itself()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(4).requires_grad_();
        Tensor Failing(Func<Tensor> fail) => AutogradNode.Apply([x], _ => [x.exp()], (_, _) => [fail()])[0].sum();
        Tensor Inner()
        {
            using IDisposable recorded = enable_grad();
            return Differentiation.GradOrThrow([x.detach().requires_grad_().exp()], [x], [ones(5)])[0]!;
        }

        Assert.Contains("invalid gradient", Assert.Throws<TorchException>(() => Differentiation.Backward(Failing(Inner))).Message);
        Assert.Contains("the disk is on fire", Assert.Throws<InvalidOperationException>(() => Differentiation.GradOrThrow(
            [Failing(() => throw new InvalidOperationException("the disk is on fire"))], [x], null)).Message);
    }
}
