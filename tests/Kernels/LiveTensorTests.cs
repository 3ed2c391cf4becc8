using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>Native memory is invisible to the garbage collector: a loop that leaks shows as a number that grows.</summary>
public sealed class LiveTensorTests
{
    private const int Steps = 1000;

    public LiveTensorTests() => Finalizers.Run();

    [Fact]
    public void A_thousand_training_steps_leave_the_count_flat_and_learn()
    {
        using var outer = NewDisposeScope();
        using var random = new Generator(4);
        Tensor[] weights = [.. new long[][] { [24, 8], [8, 8], [16, 8], [4, 16] }
            .Select(shape => (randn(shape, generator: random) * 0.3).DetachFromDisposeScope().requires_grad_())];
        Tensor[] averages = [.. weights.Select(w => zeros_like(w))], squares = [.. weights.Select(w => zeros_like(w))],
            counts = [.. weights.Select(_ => zeros([]))];
        var input = randn([2, 6, 8], generator: random);
        var target = randint(0, 4, [12], generator: random);

        var losses = new float[Steps];
        var live = new long[Steps];
        for (var step = 0; step < Steps; step++)
        {
            using (NewDisposeScope())
            {
                var loss = nn.functional.cross_entropy(Forward(input, weights), target);
                loss.backward();
                Tensor[] gradients = [.. weights.Select(w => w.grad!)];
                Gradients.ClipNorm(gradients, 1);
                FusedAdamW.Step(weights, gradients, averages, squares, counts, 1e-2, 0.9, 0.99, 0.01, 1e-8);
                foreach (var weight in weights) weight.grad = null;
                losses[step] = loss.item<float>();
            }

            live[step] = LiveTensors.Count();
        }

        Assert.All(live, count => Assert.Equal(live[0], count));
        Assert.True(losses[^1] < losses[0] / 10, $"the loss went from {losses[0]} to {losses[^1]}");
        foreach (var weight in weights) weight.Dispose();
    }

    // Attention over two heads of four, then a SiLU layer; (B, T, C) → (B·T, V).
    private static Tensor Forward(Tensor x, Tensor[] weights)
    {
        var parts = nn.functional.linear(x, weights[0]).view(2, 6, 3, 2, 4).permute(2, 0, 3, 1, 4).unbind();
        var attended = nn.functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_casual: true);
        var hidden = x + nn.functional.linear(attended.transpose(1, 2).reshape(2, 6, 8), weights[1]);
        return nn.functional.linear(nn.functional.silu(nn.functional.linear(hidden, weights[2])), weights[3]).view(12, 4);
    }
}
