using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class NormalizationTests
{
    private const double Epsilon = 1e-5;

    public static TheoryData<long[]> Shapes =>
        new([1, 1], [3, 2], [7, 128], [2, 5, 96], [64, 33], [2, 300, 192], [5, 7], [40, 15], [1, 16], [17], [130, 45]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Layer_norm_agrees_with_float64(long[] shape) => KernelAssert.AgreesWithFloat64(
        [shape, [shape[^1]], [shape[^1]]],
        inputs => [Normalization.LayerNorm(inputs[0], inputs[1], inputs[2], Epsilon)],
        inputs => [Normalization.ComposedLayerNorm(inputs[0], inputs[1], inputs[2], Epsilon, false)],
        Tolerance(shape));

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Layer_norm_without_bias_agrees_with_float64(long[] shape) => KernelAssert.AgreesWithFloat64(
        [shape, [shape[^1]]],
        inputs => [Normalization.LayerNorm(inputs[0], inputs[1], null, Epsilon)],
        inputs => [Normalization.ComposedLayerNorm(inputs[0], inputs[1], null, Epsilon, false)],
        Tolerance(shape));

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Rms_norm_agrees_with_float64(long[] shape) => KernelAssert.AgreesWithFloat64(
        [shape, [shape[^1]]],
        inputs => [Normalization.RmsNorm(inputs[0], inputs[1], Epsilon)],
        inputs => [Normalization.ComposedRmsNorm(inputs[0], inputs[1], Epsilon, false)],
        Tolerance(shape));

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_residual_sum_and_its_layer_norm_agree_with_float64(long[] shape) => KernelAssert.AgreesWithFloat64(
        [shape, shape, [shape[^1]], [shape[^1]]],
        inputs => Both(Normalization.AddLayerNorm(inputs[0], inputs[1], inputs[2], inputs[3], Epsilon)),
        inputs => [inputs[0] + inputs[1], Normalization.ComposedLayerNorm(inputs[0] + inputs[1], inputs[2], inputs[3], Epsilon, false)],
        Tolerance(shape));

    [Theory]
    [MemberData(nameof(Shapes))]
    public void The_residual_sum_and_its_rms_norm_agree_with_float64(long[] shape) => KernelAssert.AgreesWithFloat64(
        [shape, shape, [shape[^1]]],
        inputs => Both(Normalization.AddRmsNorm(inputs[0], inputs[1], inputs[2], Epsilon)),
        inputs => [inputs[0] + inputs[1], Normalization.ComposedRmsNorm(inputs[0] + inputs[1], inputs[2], Epsilon, false)],
        Tolerance(shape));

    public static TheoryData<string, long[]> Kernels()
    {
        TheoryData<string, long[]> data = [];
        foreach (string kernel in (string[])["layer", "rms", "add layer", "add rms"])
            foreach (long[] shape in (long[][])[[1, 1], [3, 2], [7, 128], [2, 5, 96], [64, 33], [2, 300, 192]])
                data.Add(kernel, shape);
        return data;
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void The_rounded_norm_is_the_norm_rounded_once_and_its_gradients_agree(string kernel, long[] shape)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] inputs = [.. KernelAssert.Values(Inputs(kernel, shape)).Select(value => value.requires_grad_())];
        Tensor gradient = randn(shape).to(ScalarType.BFloat16);
        KernelAssert.InEveryWidth(lanes =>
        {
            Tensor full = Apply(kernel, inputs, false)[^1], rounded = Apply(kernel, inputs, true)[^1];
            TensorAssert.Same(full.to(ScalarType.BFloat16), rounded, $"the norm in {lanes} lanes");
            IList<Tensor?> want = autograd.grad([full], inputs, [gradient.to(ScalarType.Float32)]),
                have = autograd.grad([rounded], inputs, [gradient]);
            TensorAssert.Same(want, have, $"gradients in {lanes} lanes");
        });
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Threads_do_not_change_a_bit(string kernel, long[] shape) =>
        KernelAssert.IsDeterministic(Inputs(kernel, shape), inputs => Apply(kernel, inputs, false));

    [Theory]
    [MemberData(nameof(Kernels))]
    public void No_tensor_is_left_behind(string kernel, long[] shape)
    {
        KernelAssert.LeavesNothing(Inputs(kernel, shape), inputs => Apply(kernel, inputs, false));
        KernelAssert.KeepsNothingWithoutGradients(Inputs(kernel, shape), inputs => Apply(kernel, inputs, true));
    }

    [Theory]
    [InlineData("layer")]
    [InlineData("add rms")]
    public void A_row_is_the_same_whatever_else_is_in_the_batch(string kernel)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor[] inputs = KernelAssert.Values(Inputs(kernel, [50, 21]));
        Tensor whole = Apply(kernel, inputs, false)[^1];
        Tensor part = Apply(kernel, [.. inputs.Select(input => input.dim() == 2 ? input.narrow(0, 13, 5) : input)], false)[^1];
        TensorAssert.Same(whole.narrow(0, 13, 5), part);
    }

    [Fact]
    public void Only_the_gradients_that_are_wanted_are_made()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn([6, 9], requires_grad: true), weight = ones(9), bias = zeros([9], requires_grad: true);
        Normalization.LayerNorm(x, weight, bias, Epsilon).square().sum().backward();
        Assert.NotNull(x.grad);
        Assert.NotNull(bias.grad);
        Assert.Null(weight.grad);
    }

    [Fact]
    public void The_sum_alone_passes_its_gradient_on()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn([6, 9], requires_grad: true), branch = randn([6, 9], requires_grad: true), weight = ones([9], requires_grad: true);
        Normalization.AddRmsNorm(x, branch, weight, Epsilon).Sum.mul(2).sum().backward();
        TensorAssert.CloseToScale(full([6, 9], 2), x.grad!, 0);
        TensorAssert.CloseToScale(full([6, 9], 2), branch.grad!, 0);
    }

    [Fact]
    public void Inputs_with_gaps_in_other_types_or_empty_give_the_same()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(40, 6), weight = randn(12).slice(0, 0, 12, 2);
        TensorAssert.CloseToScale(Normalization.LayerNorm(x.contiguous(), weight.contiguous(), null, Epsilon),
            Normalization.LayerNorm(x.t().contiguous().t(), weight, null, Epsilon), 0);
        Tensor coarse = Normalization.RmsNorm(x.to(ScalarType.BFloat16), weight.to(ScalarType.BFloat16), Epsilon);
        Assert.Equal(ScalarType.BFloat16, coarse.dtype);
        TensorAssert.CloseToScale(Normalization.RmsNorm(x, weight, Epsilon), coarse, 0.02);
        Assert.Equal([0, 6], Normalization.LayerNorm(empty(0, 6), weight, null, Epsilon).shape);
    }

    [Fact]
    public void What_is_not_a_number_stays_none()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = full([2, 9], float.NaN);
        Assert.True(Normalization.LayerNorm(x, ones(9), null, Epsilon).isnan().all().item<bool>());
        Assert.True(Normalization.RmsNorm(x, ones(9), Epsilon, rounds: true).isnan().all().item<bool>());
    }

    // Of one or two numbers the variance can be as small as ε: what is small is then divided by what is small.
    private static double Tolerance(long[] shape) => shape[^1] < 3 ? 2e-3 : 1e-5;

    private static long[][] Inputs(string kernel, long[] shape) => kernel switch
    {
        "layer" => [shape, [shape[^1]], [shape[^1]]],
        "rms" => [shape, [shape[^1]]],
        "add layer" => [shape, shape, [shape[^1]], [shape[^1]]],
        _ => [shape, shape, [shape[^1]]],
    };

    private static Tensor[] Apply(string kernel, Tensor[] inputs, bool rounds) => kernel switch
    {
        "layer" => [Normalization.LayerNorm(inputs[0], inputs[1], inputs[2], Epsilon, rounds)],
        "rms" => [Normalization.RmsNorm(inputs[0], inputs[1], Epsilon, rounds)],
        "add layer" => Both(Normalization.AddLayerNorm(inputs[0], inputs[1], inputs[2], inputs[3], Epsilon, rounds)),
        _ => Both(Normalization.AddRmsNorm(inputs[0], inputs[1], inputs[2], Epsilon, rounds)),
    };

    private static Tensor[] Both((Tensor Sum, Tensor Norm) results) => [results.Sum, results.Norm];
}
