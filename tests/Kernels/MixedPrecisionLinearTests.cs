using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class MixedPrecisionLinearTests
{
    private static readonly long[][] Shapes = [[1, 1], [3, 2], [7, 128], [2, 5, 96], [64, 33], [2, 300, 192], [2, 300, 392]];

    public static MatrixTheoryData<long[], bool, bool> Layouts => new(Shapes, [false, true], [false, true]);

    [Theory]
    [MemberData(nameof(Layouts))]
    public void A_linear_layer_is_libtorch_s(long[] shape, bool biased, bool turned)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = turned ? randn([.. shape.Reverse()]).transpose(0, -1) : randn(shape), weight = randn(5, x.size(-1)), bias = randn(5);
        Tensor[] inputs = biased ? [x, weight, bias] : [x, weight];
        Assert.True(MixedPrecisionLinear.IsSupported(x, weight, bias));
        Tensor gradient = randn([.. x.shape[..^1], 5]);
        (Tensor want, Tensor[] wants) = Run(
            inputs.Select(input => input.to(ScalarType.Float64)),
            given => nn.functional.linear(given[0], given[1], given.ElementAtOrDefault(2)), gradient);
        (Tensor have, Tensor[] haves) = Run(
            inputs, given => MixedPrecisionLinear.Apply(given[0], given[1], given.ElementAtOrDefault(2)), gradient);
        TensorAssert.CloseToScale(want, have, 2e-6);
        TensorAssert.CloseToScale(wants, haves, 2e-6);
    }

    public static MatrixTheoryData<long[], bool, ScalarType> Roundings =>
        new(Shapes, [false, true], [ScalarType.Float32, ScalarType.BFloat16]);

    [Theory]
    [MemberData(nameof(Roundings))]
    public void Multiplied_in_bfloat16_it_is_the_product_of_the_rounded_with_float32_sums(long[] shape, bool rounds, ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(shape).to(type), weight = randn(5, shape[^1]), bias = randn(5), coarse = weight.to(ScalarType.BFloat16),
            gradient = randn([.. shape[..^1], 5]).to(ScalarType.BFloat16);
        Assert.True(MixedPrecisionLinear.IsSupported(x, weight, coarse, bias));
        Tensor[] exact = [Exact(x), Exact(coarse), bias.to(ScalarType.Float64)];
        (Tensor want, Tensor[] wants) = Run(exact, given => nn.functional.linear(given[0], given[1], given[2]), gradient);
        (Tensor have, Tensor[] haves) = Run(
            [x, weight, bias], given => MixedPrecisionLinear.ApplyRounded(given[0], given[1], coarse, given[2], rounds), gradient);
        Assert.Equal(rounds ? ScalarType.BFloat16 : ScalarType.Float32, have.dtype);
        Assert.Equal([type, ScalarType.Float32, ScalarType.Float32], haves.Select(had => had.dtype));
        TensorAssert.CloseToScale(want, have, rounds ? 4e-3 : 2e-6);
        TensorAssert.CloseToScale(wants[0], haves[0], type == ScalarType.BFloat16 ? 4e-3 : 2e-6);
        TensorAssert.CloseToScale(wants[1..], haves[1..], 2e-6);
        (Tensor composed, Tensor[] others) = Run(
            [x, weight, bias], given => MixedPrecisionLinear.Composed(given[0], given[1], coarse, given[2], rounds), gradient);
        TensorAssert.CloseToScale(want, composed, rounds ? 4e-3 : 2e-6);
        TensorAssert.CloseToScale(wants, others, 4e-3);

        static Tensor Exact(Tensor x) => x.to(ScalarType.BFloat16).to(ScalarType.Float64);
    }

    [Fact]
    public void Without_gradients_nothing_is_recorded_and_a_part_of_the_batch_gives_the_same_bits()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor x = randn(10, 7, 40), weight = randn([30, 40], requires_grad: true);
        using (no_grad()) Assert.False(MixedPrecisionLinear.Apply(x, weight).requires_grad);
        Tensor whole = MixedPrecisionLinear.Apply(x, weight);
        Assert.True(whole.requires_grad);
        TensorAssert.SameBits(whole.detach().narrow(0, 3, 2), MixedPrecisionLinear.Apply(x.narrow(0, 3, 2), weight).detach());
    }

    [Fact]
    public void Other_types_and_shapes_are_libtorch_s_own()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Equal([0, 2], MixedPrecisionLinear.Apply(zeros(0, 3), zeros(2, 3)).shape);
        Assert.Equal([2], MixedPrecisionLinear.Apply(zeros(3), zeros(2, 3)).shape);
        Assert.Equal(ScalarType.Float64,
            MixedPrecisionLinear.Apply(zeros([1, 3], ScalarType.Float64), zeros([2, 3], ScalarType.Float64)).dtype);
        Assert.Equal([0, 2], MixedPrecisionLinear.ApplyRounded(zeros(0, 3), zeros(2, 3), zeros([2, 3], ScalarType.BFloat16)).shape);
        var failure = Assert.Throws<TorchException>(
            () => MixedPrecisionLinear.ApplyRounded(zeros(1, 3), zeros(2, 3), zeros([3, 2], ScalarType.BFloat16)));
        Assert.Contains("its like in bfloat16", failure.Message);
    }

    [Fact]
    public void Nothing_is_left_behind()
    {
        using Tensor x = randn([4, 6], requires_grad: true), weight = randn([5, 6], requires_grad: true),
            coarse = weight.detach().to(ScalarType.BFloat16);
        Step();
        Finalizers.Run();
        long before = LiveTensors.Count();
        for (int i = 0; i < 5; i++) Step();
        Assert.InRange(LiveTensors.Count() - before, -4, 4);

        void Step()
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor sum = MixedPrecisionLinear.Apply(x, weight).sum() + MixedPrecisionLinear.ApplyRounded(x, weight, coarse).sum();
            foreach (Tensor gradient in autograd.grad([sum], [x, weight])) gradient.Dispose();
        }
    }

    private static (Tensor Result, Tensor[] Gradients) Run(IEnumerable<Tensor> inputs, Func<Tensor[], Tensor> function, Tensor gradient)
    {
        Tensor[] given = [.. inputs.Select(input => input.detach().clone().requires_grad_())];
        Tensor result = function(given);
        return (result.detach(), [.. autograd.grad([result], given, [gradient.to(result.dtype)])]);
    }
}
