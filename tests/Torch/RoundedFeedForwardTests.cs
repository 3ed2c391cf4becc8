// Shapes: N rows, C model dimension, F hidden dimension, W = F or 2F.
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

/// <summary>The feed-forward layer in one step is its parts one after the other, rounded where they meet.</summary>
public class RoundedFeedForwardTests
{
    [Theory]
    [InlineData(RoundedFunction.Gelu, 1, true, false)]
    [InlineData(RoundedFunction.Gelu, 70, false, true)]
    [InlineData(RoundedFunction.Gelu, 2500, true, true)]
    [InlineData(RoundedFunction.SwiGlu, 3, false, false)]
    [InlineData(RoundedFunction.SwiGlu, 1100, true, false)]
    [InlineData(RoundedFunction.SwiGlu, 64, true, true)]
    public void It_is_its_parts_in_a_row(RoundedFunction function, int rows, bool biased, bool coarse)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Layer layer = new(randn(rows, 24), function, biased);
        Tensor x = (coarse ? layer.X.to_type(ScalarType.BFloat16) : layer.X).requires_grad_();
        Tensor actual = FusedKernels.RoundedFeedForward(
            x, new(layer.Up, layer.Up.detach().to_type(ScalarType.BFloat16), layer.UpBias), new(layer.Down, layer.Down.detach().to_type(ScalarType.BFloat16), layer.DownBias), function);
        Tensor gradient = randn(actual.shape);
        IList<Tensor?> have = autograd.grad([actual.mul(gradient).sum()], [x, .. layer.Weights]);

        (Tensor expected, Tensor[] want) = layer.Run(gradient);

        Assert.Equal((ScalarType.Float32, x.dtype), (actual.dtype, have[0]!.dtype));
        // A sum that is added up in another order may be rounded to the other side: once in a while a whole step of bfloat16.
        Close(expected, actual);
        foreach ((Tensor wanted, Tensor? had) in want.Zip(have)) Close(wanted, had!);

        static void Close(Tensor wanted, Tensor had) =>
            Assert.InRange(had.detach().to_type(ScalarType.Float32).sub(wanted).norm().item<float>(), 0, 0.003f * wanted.norm().item<float>());
    }

    [Fact]
    public void Without_gradients_it_gives_the_same_and_what_does_not_fit_is_said()
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = new(randn(5, 2, 24), RoundedFunction.Gelu, biased: true);
        RoundedWeight up = new(layer.Up, layer.Up.detach().to_type(ScalarType.BFloat16), layer.UpBias), down = new(layer.Down, layer.Down.detach().to_type(ScalarType.BFloat16));
        Tensor recorded = FusedKernels.RoundedFeedForward(layer.X, up, down, RoundedFunction.Gelu);
        using (no_grad()) Assert.True(recorded.eq(FusedKernels.RoundedFeedForward(layer.X, up, down, RoundedFunction.Gelu)).all().item<bool>());
        Assert.Equal([5, 2, 24], recorded.shape);
        Assert.Throws<TorchException>(() => FusedKernels.RoundedFeedForward(layer.X, up, down, RoundedFunction.SwiGlu));
        Assert.Throws<TorchException>(() => FusedKernels.RoundedFeedForward(layer.X, down, down, RoundedFunction.Gelu));
    }

    private sealed class Layer(Tensor x, RoundedFunction function, bool biased)
    {
        private const int Hidden = 40;

        public Tensor X { get; } = x;

        public Tensor Up { get; } = randn([function == RoundedFunction.SwiGlu ? 2 * Hidden : Hidden, 24], requires_grad: true);

        public Tensor? UpBias { get; } = biased ? randn([function == RoundedFunction.SwiGlu ? 2 * Hidden : Hidden], requires_grad: true) : null;

        public Tensor Down { get; } = randn([24, Hidden], requires_grad: true);

        public Tensor? DownBias { get; } = biased ? randn([24], requires_grad: true) : null;

        public Tensor[] Weights => [Up, Down, .. biased ? new[] { UpBias!, DownBias! } : []];

        // The result, and the gradients of x and of the weights.
        public (Tensor, Tensor[]) Run(Tensor gradient)
        {
            Tensor rows = Coarse(X), read = Coarse(nn.functional.linear(rows, Coarse(Up), UpBias?.detach())).requires_grad_(); // (N, C) → (N, W)
            Tensor full = Function(read), hidden = Coarse(full); // (N, F)
            Tensor dy = Coarse(gradient);
            Tensor dread = Coarse(autograd.grad([full], [read], [dy.matmul(Coarse(Down))])[0]!); // (N, W)
            Tensor[] biases = biased ? [dread.sum(0), gradient.sum(0)] : [];
            return (
                nn.functional.linear(hidden, Coarse(Down), DownBias?.detach()),
                [dread.matmul(Coarse(Up)), dread.transpose(0, 1).matmul(rows), dy.transpose(0, 1).matmul(hidden), .. biases]);
        }

        private Tensor Function(Tensor read)
        {
            if (function == RoundedFunction.Gelu) return nn.functional.gelu(read);
            Tensor[] halves = read.chunk(2, -1);
            return halves[0].silu().mul(halves[1]);
        }

        private static Tensor Coarse(Tensor full) => full.detach().to_type(ScalarType.BFloat16).to_type(ScalarType.Float32);
    }
}
