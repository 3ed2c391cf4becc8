using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class MixedPrecisionLinearTests
{
    public static TheoryData<long[]> Shapes =>
        new(new long[] { 1, 1 }, new long[] { 3, 2 }, new long[] { 7, 128 }, new long[] { 2, 5, 96 }, new long[] { 64, 33 },
        new long[] { 2, 300, 392 });

    [Theory]
    [MemberData(nameof(Shapes))]
    public void A_linear_layer_is_libtorch_s(long[] shape)
    {
        foreach (bool biased in (bool[])[false, true])
        foreach (bool turned in (bool[])[false, true])
        {
            using DisposeScope scope = NewDisposeScope();
            manual_seed(1);
            Tensor x = turned ? randn([.. shape.Reverse()]).transpose(0, -1) : randn(shape), weight = randn(5, x.size(-1)), bias = randn(5);
            Tensor[] inputs = biased ? [x, weight, bias] : [x, weight];
            Assert.True(MixedPrecisionLinear.IsSupported(x, weight, bias));
            Tensor gradient = randn([.. x.shape[..^1], 5]);
            (Tensor want, Tensor[] wants) = Run(
                inputs.Select(input => input.to(ScalarType.Float64)), given =>
                nn.functional.linear(given[0], given[1], given.ElementAtOrDefault(2)), gradient);
            (Tensor have, Tensor[] haves) = Run(
                inputs, given => MixedPrecisionLinear.Apply(given[0], given[1], given.ElementAtOrDefault(2)), gradient);
            Near(want, have, 2e-6);
            foreach ((Tensor wanted, Tensor had) in wants.Zip(haves)) Near(wanted, had, 2e-6);
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Multiplied_in_bfloat16_it_is_the_product_of_the_rounded_with_float32_sums(long[] shape)
    {
        foreach (bool rounds in (bool[])[false, true])
        foreach (ScalarType type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
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
            Near(want, have, rounds ? 4e-3 : 2e-6);
            for (int i = 0; i < 3; i++) Near(wants[i], haves[i], i == 0 && type == ScalarType.BFloat16 ? 4e-3 : 2e-6);
            (Tensor composed, Tensor[] others) = Run(
                [x, weight, bias], given => MixedPrecisionLinear.Composed(given[0], given[1], coarse, given[2], rounds), gradient);
            Near(want, composed, rounds ? 4e-3 : 2e-6);
            foreach ((Tensor wanted, Tensor had) in wants.Zip(others)) Near(wanted, had, 4e-3);
        }

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
        Assert.Contains("its like in bfloat16",
            Assert.Throws<TorchException>(
            () => MixedPrecisionLinear.ApplyRounded(zeros(1, 3), zeros(2, 3), zeros([3, 2], ScalarType.BFloat16))).Message);
    }

    [Fact]
    public void Nothing_is_left_behind()
    {
        using Tensor x = randn([4, 6], requires_grad: true), weight = randn([5, 6], requires_grad: true), coarse = weight.detach()
            .to(ScalarType.BFloat16);
        Step();
        Finalizers.Run();
        long before = Tensor.TotalCount;
        for (int i = 0; i < 5; i++) Step();
        Assert.InRange(Tensor.TotalCount - before, -4, 4);

        void Step()
        {
            using DisposeScope scope = NewDisposeScope();
            foreach (Tensor gradient in autograd.grad(
                [MixedPrecisionLinear.Apply(x, weight).sum() + MixedPrecisionLinear.ApplyRounded(x, weight, coarse).sum()],
                [x, weight])) gradient.Dispose();
        }
    }

    private static (Tensor Result, Tensor[] Gradients) Run(IEnumerable<Tensor> inputs, Func<Tensor[], Tensor> function, Tensor gradient)
    {
        Tensor[] given = [.. inputs.Select(input => input.detach().clone().requires_grad_())];
        Tensor result = function(given);
        return (result.detach(), [.. autograd.grad([result], given, [gradient.to(result.dtype)])]);
    }

    private static void Near(Tensor want, Tensor have, double tolerance) =>
        TensorAssert.Close(want, have, tolerance * Math.Max(1, want.abs().max().item<double>()));
}
