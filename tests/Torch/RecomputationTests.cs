using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

/// <summary>Segments that keep nothing and run again: the same bits, less memory, and nothing left behind.</summary>
public sealed class RecomputationTests
{
    public RecomputationTests() => Finalizers.Run();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Gradients_are_those_without_bit_for_bit_through_dropout_fused_kernels_and_a_tensor_from_outside(bool retain)
    {
        using var scope = NewDisposeScope();
        Tensor[] plain = Gradients(recompute: false, retain), again = Gradients(recompute: true, retain);
        Assert.Equal(plain.Length, again.Length);
        for (var i = 0; i < plain.Length; i++) TensorAssert.SameBits(plain[i], again[i]);
    }

    [Fact]
    public void A_segment_runs_once_forward_and_once_backward_and_is_released_with_the_record()
    {
        using var scope = NewDisposeScope();
        var (runs, again, released) = (0, 0, 0);
        var x = ones(4).requires_grad_();
        var y = Recomputation.Run(() =>
        {
            runs++;
            if (Recomputation.Running) again++;
            return x.exp().sin().exp();
        }, () => released++);
        Assert.Equal((1, 0, 0), (runs, again, released));

        y.sum().backward();
        Assert.Equal((2, 1, 1), (runs, again, released));
        Assert.False(Recomputation.Running);
    }

    [Fact]
    public void A_record_that_is_never_differentiated_releases_its_segment()
    {
        var released = 0;
        var before = TensorCount.Live;
        using (NewDisposeScope())
        {
            var x = ones(4).requires_grad_();
            Recomputation.Run(() => x.exp().sin(), () => released++, CPU);
            Assert.Equal(0, released);
        }

        Assert.Equal(1, released);
        Assert.Equal(before, TensorCount.Live);
    }

    [Fact]
    public void The_generator_goes_on_from_where_it_was()
    {
        using var scope = NewDisposeScope();
        Tensor Next(bool recompute)
        {
            manual_seed(3);
            var x = ones(64).requires_grad_();
            Tensor Drop() => nn.functional.dropout(x.exp(), 0.5, training: true);
            var y = recompute ? Recomputation.Run(Drop, () => { }, CPU) : Drop();
            var middle = rand(4);
            y.sum().backward();
            return cat([middle, rand(4), x.grad!]);
        }

        TensorAssert.SameBits(Next(recompute: false), Next(recompute: true));
    }

    [Fact]
    public void What_is_paused_for_is_not_made_again()
    {
        using var scope = NewDisposeScope();
        var x = full([4], 0.5).requires_grad_();
        Tensor? shared = null;
        Tensor Segment()
        {
            if (shared is null)
            {
                using var kept = Recomputation.Pause();
                shared = x.exp().DetachFromDisposeScope();
            }

            return shared.sin();
        }

        var sum = Recomputation.Run(Segment, () => { }) + Recomputation.Run(Segment, () => { });
        sum.sum().backward();
        TensorAssert.Close(2 * x.exp().cos() * x.exp(), x.grad!, 1e-6);
        shared!.Dispose();
    }

    [Fact]
    public void A_segment_that_fails_or_changes_is_an_error_that_says_so()
    {
        using var scope = NewDisposeScope();
        var x = ones(4).requires_grad_();
        var fails = Recomputation.Run(() => !Recomputation.Running ? x.exp() : throw new InvalidOperationException("the disk is on fire"), () => { });
        Assert.Contains("the disk is on fire", Assert.Throws<TorchException>(() => fails.sum().backward()).Message);

        var longer = Recomputation.Run(() => !Recomputation.Running ? x.exp() : x.exp().exp(), () => { });
        Assert.Contains("not deterministic", Assert.Throws<TorchException>(() => longer.sum().backward()).Message);

        var reshaped = Recomputation.Run(() => !Recomputation.Running ? x.exp() : x.view(2, 2).exp(), () => { });
        Assert.Contains("shape", Assert.Throws<TorchException>(() => reshaped.sum().backward()).Message);

        Assert.Contains("cannot hold another",
            Assert.Throws<TorchException>(() => Recomputation.Run(() => Recomputation.Run(() => x.exp(), () => { }), () => { })).Message);
    }

    // Weights in a chain of two segments; the second also reads what the first did not make.
    private static Tensor[] Gradients(bool recompute, bool retain)
    {
        manual_seed(1);
        Tensor[] leaves = [.. new long[][] { [6, 8], [16, 8], [8, 16], [8], [8, 8], [6, 8] }.Select(shape => randn(shape).requires_grad_())];
        var memory = leaves[5].sin();
        Tensor Segment(Tensor x)
        {
            var hidden = FusedKernels.Gelu(FusedKernels.Linear(FusedKernels.RmsNorm(x, leaves[3], 1e-5), leaves[1]));
            hidden = nn.functional.dropout(hidden, 0.3, training: true);
            return x.add(FusedKernels.Linear(hidden, leaves[2])).add(memory.matmul(leaves[4])).add(memory.square());
        }

        var y = leaves[0];
        for (var segment = 0; segment < 2; segment++)
        {
            var x = y;
            y = recompute ? Recomputation.Run(() => Segment(x), () => { }, CPU) : Segment(x);
        }

        var loss = y.square().sum();
        if (retain) loss.backward(retain_graph: true);
        loss.backward();
        return [loss, .. leaves.Select(leaf => leaf.grad!)];
    }
}
