using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>Every fused kernel gives what libtorch's operations in a row give, forward and backward, for every shape.</summary>
public sealed class FusedKernelsTests
{
    private const double Tolerance = 2e-5;

    public static TheoryData<long[]> Shapes =>
        new(new long[] { 1, 1 }, new long[] { 3, 2 }, new long[] { 7, 128 }, new long[] { 2, 5, 96 }, new long[] { 64, 33 },
        new long[] { 2, 300, 192 });

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Linear(long[] shape)
    {
        Agree([shape, [5, shape[^1]], [5]],
            inputs => [MixedPrecisionLinear.Apply(inputs[0], inputs[1], inputs[2])],
            inputs => [Exact(inputs[0], inputs[1], inputs[2])]);
        Agree([shape, [5, shape[^1]]],
            inputs => [MixedPrecisionLinear.Apply(inputs[0], inputs[1])],
            inputs => [Exact(inputs[0], inputs[1])]);
        Agree([[.. shape.Reverse()], [5, shape[^1]]],
            inputs => [MixedPrecisionLinear.Apply(inputs[0].transpose(0, -1), inputs[1])],
            inputs => [Exact(inputs[0].transpose(0, -1), inputs[1])]);

        static Tensor Exact(Tensor x, Tensor weight, Tensor? bias = null) =>
            nn.functional.linear(x.to(ScalarType.Float64), weight.to(ScalarType.Float64), bias?.to(ScalarType.Float64)).to(
                ScalarType.Float32);
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void RoundedLinear_is_the_product_of_the_rounded_with_float32_sums(long[] shape)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(shape, requires_grad: true), weight = randn([5, shape[^1]], requires_grad: true),
            bias = randn([5], requires_grad: true);
        Tensor Coarse(Tensor full) => full.detach().to_type(ScalarType.BFloat16).to_type(ScalarType.Float32);

        Tensor actual = MixedPrecisionLinear.ApplyRounded(x, weight, weight.detach().to_type(ScalarType.BFloat16), bias);
        Tensor gradient = Coarse(randn(actual.shape));
        IList<Tensor?> have = autograd.grad([actual.mul(gradient).sum()], [x, weight, bias]);

        Assert.Equal(ScalarType.Float32, actual.dtype);
        Tensor rows = Coarse(x).reshape(-1, shape[^1]), dy = gradient.reshape(-1, 5);
        Close(nn.functional.linear(Coarse(x), Coarse(weight), bias.detach()), actual);
        Close(dy.matmul(Coarse(weight)).view(shape), have[0]!);
        Close(dy.transpose(0, 1).matmul(rows), have[1]!);
        Close(dy.sum([0]), have[2]!);

        static void Close(Tensor want, Tensor have) =>
            Assert.InRange(want.sub(have).abs().max().item<float>(), 0, 1e-5f * Math.Max(1, want.abs().max().item<float>()));
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void What_is_read_rounded_is_the_same_rounded_once(long[] shape)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor x = randn(shape, requires_grad: true), weight = randn([shape[^1]], requires_grad: true),
            bias = randn([shape[^1]], requires_grad: true);
        Tensor matrix = randn([5, shape[^1]], requires_grad: true), shift = randn([5], requires_grad: true),
            branch = randn(shape, requires_grad: true);
        Tensor coarse = matrix.detach().to_type(ScalarType.BFloat16);
        Same(rounds => Normalization.LayerNorm(x, weight, bias, 1e-5, rounds), [x, weight, bias]);
        Same(rounds => Normalization.RmsNorm(x, weight, 1e-5, rounds), [x, weight]);
        Same(rounds => Normalization.AddLayerNorm(x, branch, weight, bias, 1e-5, rounds).Norm, [x, branch, weight, bias]);
        Same(rounds => Normalization.AddRmsNorm(x, branch, weight, 1e-5, rounds).Norm, [x, branch, weight]);
        Same(rounds => MixedPrecisionLinear.ApplyRounded(x, matrix, coarse, shift, rounds), [x, matrix, shift]);

        static void Same(Func<bool, Tensor> kernel, Tensor[] inputs)
        {
            Tensor full = kernel(false), rounded = kernel(true);
            Assert.Equal(ScalarType.BFloat16, rounded.dtype);
            // The compiler may take a product and a sum in one step here and in two there.
            Assert.InRange(rounded.detach().to_type(ScalarType.Float32).sub(full).abs().max().item<float>(), 0, full.abs().max()
                .item<float>() / 256);
            Tensor gradient = randn(full.shape).to_type(ScalarType.BFloat16);
            IList<Tensor?> want = autograd.grad([full], inputs, [gradient.to_type(ScalarType.Float32)]),
                have = autograd.grad([rounded], inputs, [gradient]);
            foreach ((Tensor? wanted, Tensor? had) in want.Zip(have)) Assert.True(had!.allclose(wanted!, rtol: Tolerance, atol: Tolerance));
        }
    }

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Gelu(long[] shape) => Agree(
        [shape], inputs => [Activations.Gelu(inputs[0])], inputs => [nn.functional.gelu(inputs[0])]);

    [Theory]
    [MemberData(nameof(Shapes))]
    public void SwiGlu(long[] shape) => Agree(
        [[.. shape[..^1], 2 * shape[^1]]],
        inputs => [Activations.SwiGlu(inputs[0])],
        inputs =>
        {
            var halves = inputs[0].chunk(2, -1);
            return [halves[0].silu() * halves[1]];
        });

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Rows_in_another_order(int copies)
    {
        using var scope = NewDisposeScope();
        var order = randperm(7 * copies);
        var inverse = order.sort().Indices;
        Agree([[7, 4, 2]],
            inputs => [Rows.Gather(inputs[0], order, inverse, copies)],
            inputs => [inputs[0].repeat_interleave(copies, 0).index_select(0, order)]);
        Assert.Throws<TorchException>(() => Rows.Gather(randn(6, 2), order, inverse, copies));
    }

    [Fact]
    public void Inputs_with_gaps_and_in_other_types_give_the_same()
    {
        using var scope = NewDisposeScope();
        var x = randn(6, 40);
        Assert.True(Activations.Gelu(x.transpose(0, 1)).allclose(nn.functional.gelu(x).transpose(0, 1), atol: 1e-6));
        var half = x.to(ScalarType.BFloat16);
        Assert.Equal(ScalarType.BFloat16, Activations.Gelu(half).dtype);
        Assert.True(Activations.SwiGlu(half).to(ScalarType.Float32).allclose(Activations.SwiGlu(x), rtol: 0.05, atol: 0.05));
        Assert.Throws<TorchException>(() => Activations.SwiGlu(randn(2, 3)));
    }

    [Fact]
    public void Far_from_zero_activations_are_linear_or_nothing()
    {
        using var scope = NewDisposeScope();
        var x = tensor(new[] { -1e4f, -40f, -0.0f, 0f, 40f, 1e4f }, requires_grad: true);
        var y = Activations.Gelu(x);
        y.sum().backward();
        Assert.True(y.allclose(tensor(new[] { 0f, 0f, 0f, 0f, 40f, 1e4f }), rtol: 0, atol: 1e-30));
        Assert.True(x.grad!.allclose(tensor(new[] { 0f, 0f, 0.5f, 0.5f, 1f, 1f }), rtol: 0, atol: 1e-30));
        Assert.True(Activations.SwiGlu(tensor(new[] { -1e4f, 1e4f, 2f, 2f })).allclose(tensor(new[] { 0f, 2e4f })));
    }

    [Fact]
    public void What_is_not_a_number_stays_none()
    {
        using var scope = NewDisposeScope();
        var x = full([2, 8], float.NaN);
        Assert.True(Activations.Gelu(x).isnan().all().ToBoolean());
        Assert.True(Normalization.LayerNorm(x, ones(8), null, 1e-5).isnan().all().ToBoolean());
    }

    [Fact]
    public void A_second_derivative_is_refused_not_wrong()
    {
        using var scope = NewDisposeScope();
        var x = randn([4], requires_grad: true);
        using (AutogradNode.Guard()) Activations.Gelu(x).sum().backward(create_graph: true);
        Assert.Contains("second derivative", Assert.Throws<TorchException>(AutogradNode.ThrowFailure).Message);
    }

    private static Tensor[] Both((Tensor Sum, Tensor Norm) result) => [result.Sum, result.Norm];

    /// <summary>Compares results, and the gradients of a random weighting of all results.</summary>
    private static void Agree(long[][] shapes, Func<Tensor[], Tensor[]> fused, Func<Tensor[], Tensor[]> reference)
    {
        using var scope = NewDisposeScope();
        manual_seed(7);
        Tensor[] values = [.. shapes.Select(shape => randn(shape))];
        var (results, gradients) = Run(fused, values);
        var (expected, expectedGradients) = Run(reference, values);
        foreach (var (actual, wanted) in results.Concat(gradients).Zip(expected.Concat(expectedGradients)))
            Assert.True(actual.allclose(wanted, rtol: Tolerance, atol: Tolerance), $"{(actual - wanted).abs().max().ToDouble()} apart");
    }

    private static (Tensor[] Results, Tensor[] Gradients) Run(Func<Tensor[], Tensor[]> function, Tensor[] values)
    {
        Tensor[] inputs = [.. values.Select(value => value.clone().requires_grad_())];
        var results = function(inputs);
        var outcome = results.Select((result, index) => (result * linspace(-1, 1, result.numel()).view(result.shape) * (index + 1)).sum())
            .Aggregate((a, b) => a + b);
        outcome.backward();
        return (results, [.. inputs.Select(input => input.grad!)]);
    }
}
