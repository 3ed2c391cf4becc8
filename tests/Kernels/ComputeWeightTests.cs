using TorchSharp;
using TorchSharp.Modules;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class ComputeWeightTests
{
    [Fact]
    public void It_is_made_once_until_the_source_is_written()
    {
        using DisposeScope scope = NewDisposeScope();
        using ComputeWeight rounded = new();
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
        using ComputeWeight rounded = new();
        Parameter weight = new(randn(3, 4));
        Tensor before = rounded.Of(weight).clone();
        FusedAdamW.Step([weight], [ones(3, 4)], [zeros(3, 4)], [zeros(3, 4)], [zeros([])], learningRate: 0.5, 0.9, 0.99, 0, 1e-8);
        AssertRounded(weight, rounded.Of(weight));
        Assert.InRange(before.sub(rounded.Of(weight)).abs().min().to(ScalarType.Float32).item<float>(), 0.4, 0.6);
    }

    [Fact]
    public void It_outlives_scopes_and_inference_mode()
    {
        using DisposeScope scope = NewDisposeScope();
        using ComputeWeight rounded = new();
        Parameter weight = new(randn(5, 4));
        using (inference_mode())
        using (NewDisposeScope())
            rounded.Of(weight);
        Tensor x = randn([2, 5], requires_grad: true);
        x.to(ScalarType.BFloat16).matmul(rounded.Of(weight)).sum().backward(); // what is saved for this must be no tensor of inference mode
        Assert.NotNull(x.grad);
    }

    [Fact]
    public void A_source_that_does_not_count_its_writes_is_rounded_each_time()
    {
        using DisposeScope scope = NewDisposeScope();
        using ComputeWeight rounded = new();
        using IDisposable inference = inference_mode();
        Tensor weight = randn(3, 4);
        AssertRounded(weight, rounded.Of(weight));
        weight.mul_(2);
        AssertRounded(weight, rounded.Of(weight));
        Finalizers.Run();
        long before = LiveTensors.Count();
        using (NewDisposeScope()) rounded.Of(weight);
        Assert.Equal(before, LiveTensors.Count());
    }

    [Fact]
    public void A_source_of_the_type_is_its_own_copy()
    {
        using DisposeScope scope = NewDisposeScope();
        using ComputeWeight rounded = new();
        Tensor weight = randn(3, 4).to(ScalarType.BFloat16);
        Assert.Same(weight, rounded.Of(weight));
    }

    [Fact]
    public void A_parameter_becomes_its_copy_in_place()
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter weight = new(randn(3, 4));
        Tensor expected = weight.detach().to(ScalarType.BFloat16);
        ComputeWeight.Replace(weight, ScalarType.BFloat16);
        Assert.Equal((ScalarType.BFloat16, false), (weight.dtype, weight.requires_grad));
        TensorAssert.Same(expected, weight);
    }

    [Fact]
    public void Threads_share_one_copy()
    {
        using DisposeScope scope = NewDisposeScope();
        using ComputeWeight rounded = new();
        Parameter weight = new(randn(64, 64));
        Tensor[] copies = new Tensor[8];
        Parallel.For(0, copies.Length, i => copies[i] = rounded.Of(weight));
        Assert.All(copies, copy => Assert.Same(copies[0], copy));
    }

    private static void AssertRounded(Tensor weight, Tensor copy) =>
        TensorAssert.Same(weight.to(ScalarType.BFloat16), copy);
}
