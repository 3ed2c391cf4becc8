// Shapes: N rows, C model dimension, F hidden dimension, W = F or 2F.
using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>The feed-forward layer in one step is its parts one after the other, rounded where they meet.</summary>
public sealed class FusedFeedForwardTests
{
    private const int Width = 24, Hidden = 41;

    // A sum that is added up in another order may be rounded to the other side: once in a while a whole step of bfloat16.
    private const double Tolerance = 0.003f;

    [Theory]
    [InlineData(FeedForwardFunction.Gelu, 1, true, false)]
    [InlineData(FeedForwardFunction.Gelu, 70, false, true)]
    [InlineData(FeedForwardFunction.Gelu, 2500, true, true)]
    [InlineData(FeedForwardFunction.SwiGlu, 3, false, false)]
    [InlineData(FeedForwardFunction.SwiGlu, 1100, true, false)]
    [InlineData(FeedForwardFunction.SwiGlu, 64, true, true)]
    [InlineData(FeedForwardFunction.GeluTanh, 33, true, false)]
    [InlineData(FeedForwardFunction.Silu, 33, true, false)]
    [InlineData(FeedForwardFunction.SquaredRelu, 33, true, false)]
    [InlineData(FeedForwardFunction.GeGlu, 33, true, false)]
    [InlineData(FeedForwardFunction.GeGluTanh, 33, true, false)]
    public void It_is_its_parts_in_a_row(FeedForwardFunction function, int rows, bool biased, bool coarse)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Layer layer = new(randn(rows, Width), function, biased);
        Tensor x = (coarse ? layer.X.to(ScalarType.BFloat16) : layer.X).requires_grad_();
        Tensor actual = FusedFeedForward.Apply(x, layer.UpParts, layer.DownParts, function);
        Tensor gradient = randn(actual.shape);
        IList<Tensor?> have = autograd.grad([actual.mul(gradient).sum()], [x, .. layer.Weights]);

        (Tensor expected, Tensor[] want) = layer.Run(gradient);

        Assert.Equal((ScalarType.Float32, x.dtype), (actual.dtype, have[0]!.dtype));
        TensorAssert.CloseInNorm(expected, actual, Tolerance);
        foreach ((Tensor wanted, Tensor? had) in want.Zip(have)) TensorAssert.CloseInNorm(wanted, had!, Tolerance);
    }

    public static TheoryData<FeedForwardFunction> Functions => new(Enum.GetValues<FeedForwardFunction>());

    [Theory]
    [MemberData(nameof(Functions))]
    public void It_agrees_with_the_composed_form_in_float64(FeedForwardFunction function)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Layer layer = new(randn(5, 3, Width), function, biased: true);
        Tensor gradient = randn(5, 3, Width);
        Tensor[] inputs = [layer.X.requires_grad_(), layer.Up, layer.UpBias!, layer.Down, layer.DownBias!];
        Tensor[] exact = [.. inputs.Select(input => input.detach().to(ScalarType.Float64).requires_grad_())];
        Tensor expected = FusedFeedForward.Composed(
            exact[0], new(exact[1], layer.UpParts.Rounded, exact[2]), new(exact[3], layer.DownParts.Rounded, exact[4]), function);
        IList<Tensor?> want = autograd.grad([expected], exact, [gradient.to(ScalarType.Float64)]);
        KernelAssert.InEveryWidth(lanes =>
        {
            Tensor actual = FusedFeedForward.Apply(layer.X, layer.UpParts, layer.DownParts, function);
            TensorAssert.CloseInNorm(expected, actual, Tolerance, what: $"the result in {lanes} lanes");
            IList<Tensor?> have = autograd.grad([actual], inputs, [gradient]);
            for (int i = 0; i < want.Count; i++)
                TensorAssert.CloseInNorm(want[i]!, have[i]!, 0.02, what: $"gradient {i} in {lanes} lanes");
        });
    }

    [Theory]
    [InlineData(FeedForwardFunction.Gelu)]
    [InlineData(FeedForwardFunction.SwiGlu)]
    public void Threads_do_not_change_a_bit_and_no_tensor_is_left_behind(FeedForwardFunction function)
    {
        long wide = function == FeedForwardFunction.SwiGlu ? 2 * Hidden : Hidden;
        long[][] shapes = [[1300, Width], [wide, Width], [wide], [Width, Hidden], [Width]];
        KernelAssert.IsDeterministic(shapes, Apply);
        KernelAssert.LeavesNothing(shapes, Apply);
        KernelAssert.KeepsNothingWithoutGradients(shapes, inputs =>
        {
            using DisposeScope scope = NewDisposeScope();
            return [.. Apply(inputs).Select(result => result.MoveToOuterDisposeScope())];
        });

        Tensor[] Apply(Tensor[] inputs) =>
        [
            FusedFeedForward.Apply(
                inputs[0], new(inputs[1], inputs[1].detach().to(ScalarType.BFloat16), inputs[2]),
                new(inputs[3], inputs[3].detach().to(ScalarType.BFloat16), inputs[4]), function),
        ];
    }

    [Fact]
    public void A_row_is_the_same_whatever_else_is_in_the_batch()
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = new(randn(1200, Width), FeedForwardFunction.Gelu, biased: true);
        Tensor all = FusedFeedForward.Apply(layer.X, layer.UpParts, layer.DownParts, FeedForwardFunction.Gelu);
        Tensor part = FusedFeedForward.Apply(layer.X.narrow(0, 1013, 40), layer.UpParts, layer.DownParts, FeedForwardFunction.Gelu);
        TensorAssert.Same(all.narrow(0, 1013, 40), part);
    }

    [Fact]
    public void Only_the_gradients_that_are_wanted_are_made()
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = new(randn(9, Width), FeedForwardFunction.SwiGlu, biased: true);
        Tensor x = layer.X.requires_grad_();
        LinearWeight up = new(layer.Up.detach(), layer.UpParts.Rounded, layer.UpBias!.detach()),
            down = new(layer.DownParts.Rounded, layer.DownParts.Rounded);
        FusedFeedForward.Apply(x, up, down, FeedForwardFunction.SwiGlu).sum().backward();
        Assert.NotNull(x.grad);
        Assert.Null(layer.Up.grad);
    }

    [Fact]
    public void What_does_not_fit_is_said()
    {
        using DisposeScope scope = NewDisposeScope();
        Layer layer = new(randn(5, 2, Width), FeedForwardFunction.Gelu, biased: true);
        Assert.Equal([5, 2, Width], FusedFeedForward.Apply(layer.X, layer.UpParts, layer.DownParts, FeedForwardFunction.Gelu).shape);
        Assert.Equal([0, Width], FusedFeedForward.Apply(empty(0, Width), layer.UpParts, layer.DownParts, FeedForwardFunction.Gelu).shape);
        Assert.Throws<TorchException>(() => FusedFeedForward.Apply(layer.X, layer.UpParts, layer.DownParts, FeedForwardFunction.SwiGlu));
        Assert.Throws<TorchException>(() => FusedFeedForward.Apply(layer.X, layer.DownParts, layer.DownParts, FeedForwardFunction.Gelu));
    }

    private sealed class Layer(Tensor x, FeedForwardFunction function, bool biased)
    {
        private bool IsGated => function is FeedForwardFunction.SwiGlu or FeedForwardFunction.GeGlu or FeedForwardFunction.GeGluTanh;

        private long Wide => IsGated ? 2 * Hidden : Hidden;

        public Tensor X { get; } = x;

        public Tensor Up => field ??= randn([Wide, Width], requires_grad: true);

        public Tensor? UpBias => biased ? field ??= randn([Wide], requires_grad: true) : null;

        public Tensor Down => field ??= randn([Width, Hidden], requires_grad: true);

        public Tensor? DownBias => biased ? field ??= randn([Width], requires_grad: true) : null;

        public LinearWeight UpParts => new(Up, Up.detach().to(ScalarType.BFloat16), UpBias);

        public LinearWeight DownParts => new(Down, Down.detach().to(ScalarType.BFloat16), DownBias);

        public Tensor[] Weights => [Up, Down, .. biased ? new[] { UpBias!, DownBias! } : []];

        // The result, and the gradients of x and of the weights.
        public (Tensor, Tensor[]) Run(Tensor gradient)
        {
            // (N, C) → (N, W)
            Tensor rows = Coarse(X), read = Coarse(nn.functional.linear(rows, Coarse(Up), UpBias?.detach())).requires_grad_();
            Tensor full = Function(read), hidden = Coarse(full); // (N, F)
            Tensor dy = Coarse(gradient);
            Tensor dread = Coarse(autograd.grad([full], [read], [dy.matmul(Coarse(Down))])[0]!); // (N, W)
            Tensor[] biases = biased ? [dread.sum([0]), gradient.sum([0])] : [];
            return (
                nn.functional.linear(hidden, Coarse(Down), DownBias?.detach()),
                [dread.matmul(Coarse(Up)), dread.transpose(0, 1).matmul(rows), dy.transpose(0, 1).matmul(hidden), .. biases]);
        }

        private Tensor Function(Tensor read)
        {
            Tensor[] halves = IsGated ? read.chunk(2, -1) : [read];
            Tensor value = function switch
            {
                FeedForwardFunction.Gelu or FeedForwardFunction.GeGlu => nn.functional.gelu(halves[0]),
                FeedForwardFunction.GeluTanh or FeedForwardFunction.GeGluTanh =>
                    nn.functional.gelu(halves[0], TorchSharp.Modules.GELU.Approximate.tanh),
                FeedForwardFunction.SquaredRelu => halves[0].relu().square(),
                _ => halves[0].silu(),
            };
            return IsGated ? value.mul(halves[1]) : value;
        }

        private static Tensor Coarse(Tensor full) => full.detach().to(ScalarType.BFloat16).to(ScalarType.Float32);
    }
}
