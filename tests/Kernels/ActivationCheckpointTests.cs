using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>Segments that keep nothing and run again: the same bits, less memory, and nothing left behind.</summary>
public sealed class ActivationCheckpointTests
{
    public ActivationCheckpointTests() => Finalizers.Run();

    [Fact]
    public void Gradients_are_those_without_bit_for_bit_through_dropout_kernels_and_a_tensor_from_outside()
    {
        using var scope = NewDisposeScope();
        TensorAssert.SameBits(Gradients(recompute: false), Gradients(recompute: true));
    }

    [Fact]
    public void A_segment_runs_once_forward_and_once_backward_and_is_released_with_the_record()
    {
        using var scope = NewDisposeScope();
        var (runs, again, released) = (0, 0, 0);
        var x = ones(4).requires_grad_();
        var y = Run(x =>
        {
            runs++;
            if (ActivationCheckpoint.Recomputing) again++;
            return x.exp().sin().exp();
        }, x, release: () => released++);
        Assert.Equal((1, 0, 0), (runs, again, released));

        Differentiation.Backward(y.sum());
        Assert.Equal((2, 1, 1), (runs, again, released));
        Assert.False(ActivationCheckpoint.Recomputing);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_record_that_is_never_differentiated_releases_its_segment(bool recorded)
    {
        var released = 0;
        var before = LiveTensors.Count();
        using (NewDisposeScope())
        {
            using var mode = enable_grad(recorded);
            var x = ones(4).requires_grad_();
            Run(x => x.exp().sin(), x, release: () => released++, drawsOn: CPU);
            Assert.Equal(recorded ? 0 : 1, released);
        }

        Assert.Equal(1, released);
        Assert.Equal(before, LiveTensors.Count());
    }

    [Fact]
    public void The_generator_goes_on_from_where_it_was()
    {
        using var scope = NewDisposeScope();
        Tensor Next(bool recompute)
        {
            manual_seed(3);
            var x = ones(64).requires_grad_();
            Tensor Drop(Tensor x) => nn.functional.dropout(x.exp(), 0.5, training: true);
            var y = recompute ? Run(Drop, x, drawsOn: CPU) : Drop(x);
            var middle = rand(4);
            Differentiation.Backward(y.sum());
            return cat([middle, rand(4), x.grad!]);
        }

        TensorAssert.SameBits(Next(recompute: false), Next(recompute: true));
    }

    [Fact]
    public void Gradients_add_up_over_segments_that_share_a_tensor_made_by_the_first()
    {
        using var scope = NewDisposeScope();
        var x = full([4], 0.5).requires_grad_();
        Tensor? shared = null;
        Tensor Segment(Tensor input)
        {
            if (shared is null)
            {
                using var recorded = enable_grad();
                shared = x.exp().DetachFromDisposeScope();
            }

            return shared.sin().mul(input);
        }

        var one = ones(4);
        var sum = Run(Segment, one, () => [shared!]) + Run(Segment, one, () => [shared!]);
        Differentiation.Backward(sum.sum());
        TensorAssert.Close(2 * x.exp().cos() * x.exp(), x.grad!, 1e-6);
        shared!.Dispose();
    }

    [Fact]
    public void A_segment_may_hold_another()
    {
        using var scope = NewDisposeScope();
        Tensor Gradient(bool recompute)
        {
            var x = ones(4).requires_grad_();
            Tensor Inner(Tensor x) => x.exp().sin();
            Tensor Outer(Tensor x) => recompute ? Run(Inner, x.square()).exp() : Inner(x.square()).exp();
            Differentiation.Backward((recompute ? Run(Outer, x) : Outer(x)).sum());
            return x.grad!;
        }

        TensorAssert.SameBits(Gradient(recompute: false), Gradient(recompute: true));
    }

    [Fact]
    public void A_segment_that_fails_or_changes_is_an_error_that_says_so()
    {
        using var scope = NewDisposeScope();
        var x = ones(4).requires_grad_();
        var fails = Run(x => !ActivationCheckpoint.Recomputing ? x.exp() : throw new InvalidOperationException("the disk is on fire"), x);
        Assert.Contains("the disk is on fire",
            Assert.Throws<InvalidOperationException>(() => Differentiation.Backward(fails.sum())).Message);
        Assert.False(ActivationCheckpoint.Recomputing);

        var reshaped = Run(x => !ActivationCheckpoint.Recomputing ? x.exp() : x.view(2, 2).exp(), x);
        var error = Assert.Throws<TorchException>(() => Differentiation.Grad([reshaped.sum()], [x]));
        Assert.Contains("[2, 2] where the first run gave [4]", error.Message);
        Assert.Contains("not deterministic", error.Message);
    }

    private static Tensor Run(
        Func<Tensor, Tensor> segment, Tensor x, Func<IEnumerable<Tensor>>? others = null, Action? release = null, Device? drawsOn = null) =>
        ActivationCheckpoint.Run(input => [segment(input)], x, others ?? (() => []), release ?? (() => { }), drawsOn)[0];

    // Weights in a chain of two segments; the second also reads what the first did not make.
    private static Tensor[] Gradients(bool recompute)
    {
        manual_seed(1);
        Tensor[] leaves = [.. new long[][] { [6, 8], [16, 8], [8, 16], [8], [8, 8], [6, 8] }.Select(
            shape => randn(shape).requires_grad_())];
        var memory = leaves[5].sin();
        Tensor Segment(Tensor x)
        {
            var hidden = Activations.Gelu(MixedPrecisionLinear.Apply(Normalization.RmsNorm(x, leaves[3], 1e-5), leaves[1]));
            hidden = nn.functional.dropout(hidden, 0.3, training: true);
            return x.add(MixedPrecisionLinear.Apply(hidden, leaves[2])).add(memory.matmul(leaves[4]));
        }

        var y = leaves[0];
        for (var segment = 0; segment < 2; segment++)
            y = recompute ? Run(Segment, y, () => [.. leaves[1..5], memory], drawsOn: CPU) : Segment(y);
        var loss = y.square().sum();
        Differentiation.Backward(loss);
        return [loss, .. leaves.Select(leaf => leaf.grad!)];
    }
}
