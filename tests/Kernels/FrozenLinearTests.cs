using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class FrozenLinearTests
{
    private const int Inputs = 64, Outputs = 24;

    public FrozenLinearTests() => manual_seed(3);

    [Theory]
    [InlineData(ScalarType.BFloat16, ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16, ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8, ScalarType.Float32)]
    [InlineData(ScalarType.Int8, ScalarType.BFloat16)]
    public void Value_and_gradients_are_those_of_the_unpacked_weight(ScalarType storage, ScalarType computeType)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor stored = ComputeWeight.Round(randn(Outputs, Inputs), storage);
        Tensor x = randn(3, 5, Inputs).requires_grad_(), bias = randn(Outputs).requires_grad_(), dy = randn(3, 5, Outputs);

        Tensor result = FrozenLinear.Apply(x, stored, bias, computeType);
        Tensor?[] gradients = Differentiation.Grad([result.mul(dy).sum()], [x, bias]);

        // What is multiplied is rounded to the compute type; sums are not.
        Tensor Rounded(Tensor numbers) => numbers.detach().to(computeType).to(ScalarType.Float64);
        Tensor wide = Rounded(FrozenLinear.Unpacked(stored, ScalarType.Float32));
        Assert.Equal(ScalarType.Float32, result.dtype);
        TensorAssert.Close(nn.functional.linear(Rounded(x), wide, bias.detach().to(ScalarType.Float64)), result, 1e-5);
        TensorAssert.Close(Rounded(dy).matmul(wide), gradients[0]!, 1e-5);
        TensorAssert.Close(dy.to(ScalarType.Float64).flatten(0, 1).sum(dim: 0), gradients[1]!, 1e-5);
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void Neither_the_unpacked_weight_nor_the_input_is_kept_for_the_backward_pass(ScalarType storage)
    {
        const int wide = 512;
        using DisposeScope scope = NewDisposeScope();
        Tensor stored = ComputeWeight.Round(randn(wide, wide), storage), x = randn(wide, wide).requires_grad_();
        FrozenLinear.Apply(x, stored, null, ScalarType.Float32).Dispose();
        long before = CpuMemory.Current().Allocated;

        using Tensor result = FrozenLinear.Apply(x, stored, null, ScalarType.Float32);

        // The result alone, and less than half of another matrix.
        Assert.InRange(CpuMemory.Current().Allocated - before, 0, sizeof(float) * wide * wide * 3 / 2);
    }

    [Fact]
    public void A_weight_that_is_trained_or_whole_is_refused()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(2, Inputs);
        Assert.Throws<TorchException>(() => FrozenLinear.Apply(x, randn(Outputs, Inputs), null, ScalarType.Float32));
        Assert.Throws<TorchException>(() => FrozenLinear.Apply(
            x, randn(Outputs, Inputs).to(ScalarType.BFloat16).requires_grad_(), null, ScalarType.Float32));
    }
}
