using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

public sealed class RoundedCopyTests
{
    [Fact]
    public void It_is_made_once_until_the_source_is_written()
    {
        using DisposeScope scope = NewDisposeScope();
        using RoundedCopy rounded = new();
        Parameter weight = new(randn(3, 4));
        Tensor first = rounded.Of(weight);
        Assert.Equal(ScalarType.BFloat16, first.dtype);
        Assert.False(first.requires_grad);
        Assert.Same(first, rounded.Of(weight));

        using (no_grad()) weight.add_(1);
        Assert.NotSame(first, rounded.Of(weight));
        AssertRounded(weight, rounded.Of(weight));
    }

    [Fact]
    public void It_follows_the_optimizer()
    {
        using DisposeScope scope = NewDisposeScope();
        using RoundedCopy rounded = new();
        Parameter weight = new(randn(3, 4));
        Tensor before = rounded.Of(weight).clone();
        FusedAdamW.Step([weight], [ones(3, 4)], [zeros(3, 4)], [zeros(3, 4)], [zeros([])], learningRate: 0.5, 0.9, 0.99, 0, 1e-8);
        AssertRounded(weight, rounded.Of(weight));
        Assert.InRange(before.sub(rounded.Of(weight)).abs().min().to_type(ScalarType.Float32).item<float>(), 0.4, 0.6);
    }

    [Fact]
    public void It_is_packed_until_the_source_is_written()
    {
        using DisposeScope scope = NewDisposeScope();
        using RoundedCopy rounded = new();
        Parameter weight = new(randn(5, 64));
        rounded.Pack(weight);
        Tensor packed = rounded.Of(weight);
        Assert.Equal(ScalarType.Byte, packed.dtype);
        Assert.Same(packed, rounded.Of(weight));
        AssertRounded(weight, ExponentPacking.Unpack(packed));

        using (no_grad()) weight.add_(1);
        AssertRounded(weight, rounded.Of(weight));
    }

    [Fact]
    public void What_cannot_be_packed_stays_as_it_is()
    {
        using DisposeScope scope = NewDisposeScope();
        using RoundedCopy rounded = new();
        Parameter weight = new(cat([ones(3, 32), full([3, 32], 1e-9)], 1));
        rounded.Pack(weight);
        Assert.Equal(ScalarType.BFloat16, rounded.Of(weight).dtype);
        Tensor coarse = weight.detach().to_type(ScalarType.BFloat16);
        RoundedCopy.PackIn(coarse);
        Assert.Equal((ScalarType.BFloat16, 64L), (coarse.dtype, coarse.size(1)));
        Tensor regular = randn(3, 64).to_type(ScalarType.BFloat16);
        RoundedCopy.PackIn(regular);
        Assert.Equal((ScalarType.Byte, 3L), (regular.dtype, regular.size(0)));
    }

    [Fact]
    public void It_outlives_scopes_and_inference_mode()
    {
        using DisposeScope scope = NewDisposeScope();
        using RoundedCopy rounded = new();
        Parameter weight = new(randn(5, 4));
        using (inference_mode())
        using (NewDisposeScope())
            rounded.Of(weight);
        Tensor x = randn([2, 4], requires_grad: true);
        FusedKernels.RoundedLinear(x, weight, rounded.Of(weight)).sum().backward();
        Assert.NotNull(weight.grad);
    }

    [Fact]
    public void A_source_that_does_not_count_its_writes_is_rounded_each_time()
    {
        using DisposeScope scope = NewDisposeScope();
        using RoundedCopy rounded = new();
        using IDisposable inference = inference_mode();
        Tensor weight = randn(3, 4);
        AssertRounded(weight, rounded.Of(weight));
        weight.mul_(2);
        AssertRounded(weight, rounded.Of(weight));
    }

    private static void AssertRounded(Tensor weight, Tensor copy) =>
        Assert.Equal(0, weight.detach().to_type(ScalarType.BFloat16).sub(copy).abs().max().to_type(ScalarType.Float32).item<float>());
}
