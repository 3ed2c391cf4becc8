using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class GradientsTests
{
    [Theory]
    [InlineData(2.6, 0.2)]
    [InlineData(13, 1)]
    [InlineData(100, 1)]
    [InlineData(0, 1)]
    [InlineData(double.PositiveInfinity, 1)]
    public void The_norm_is_that_of_all_together_and_only_too_long_ones_shrink(double limit, double factor)
    {
        using var scope = NewDisposeScope();
        Tensor[] gradients = [tensor([3f, 4f]), tensor([12f], [1, 1])];
        var norm = Gradients.ClipNorm(gradients, limit);
        Assert.Equal(0, norm.dim());
        Assert.Equal(13, norm.ToSingle(), 5);
        TensorAssert.Equal([3 * factor, 4 * factor], gradients[0], 1e-5);
        TensorAssert.Equal([12 * factor], gradients[1], 1e-5);
    }

    [Fact]
    public void Other_norms_are_taken_on_request()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(7, Gradients.ClipNorm([tensor([3f]), tensor([-4f])], 0, order: 1).ToSingle());
        Assert.Equal(4, Gradients.ClipNorm([tensor([3f]), tensor([-4f])], 0, order: double.PositiveInfinity).ToSingle());
    }

    // Two gradients are small; one is large and has a norm of its own on a GPU, too.
    [Theory]
    [InlineData(1, 2)]
    [InlineData(2, 2)]
    [InlineData(3, 1)]
    [InlineData(3, 2)]
    [InlineData(3, double.PositiveInfinity)]
    public void Put_into_one_as_on_a_GPU_small_gradients_have_the_same_norm(int count, double order)
    {
        using var scope = NewDisposeScope();
        var random = new Generator(5);
        Tensor[] all = [randn([7], generator: random), randn([3, 5], generator: random).t(), randn([600, 500], generator: random)];
        Tensor[] gradients = all[..count];

        Tensor joined = Gradients.JoinedNorm(gradients, order);

        double expected = Gradients.ClipNorm(gradients, 0, order).ToDouble();
        Assert.Equal(0, joined.dim());
        Assert.Equal(expected, joined.ToDouble(), 1e-5 * expected);
        gradients[0].select(0, 3).fill_(float.NaN);
        Assert.True(double.IsNaN(Gradients.JoinedNorm(gradients, order).ToDouble()));
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void A_non_finite_gradient_shows_in_the_norm(float value)
    {
        using var scope = NewDisposeScope();
        Tensor[] gradients = [tensor([1f]), tensor([value])];
        Assert.False(float.IsFinite(Gradients.ClipNorm(gradients, 1).ToSingle()));
        Assert.False(gradients[1].isfinite().all().ToBoolean());
    }

    [Fact]
    public void TorchSharp_s_helper_skips_parameters_without_a_gradient()
    {
        using var layer = nn.Linear(2, 1);
        using var unused = nn.Linear(2, 1);
        using var input = tensor([3f, 4f], [1, 2]);
        using var output = layer.call(input);
        output.sum().backward();
        Assert.Equal(Math.Sqrt(26), nn.utils.clip_grad_norm_(layer.parameters().Concat(unused.parameters()), 1), 5);
        Assert.Equal(1, nn.utils.clip_grad_norm_(layer.parameters(), 0), 4);
        Assert.Equal(0, nn.utils.clip_grad_norm_(unused.parameters(), 1));
    }
}
