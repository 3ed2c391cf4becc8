using FsCheck.Fluent;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class DisposeScopeTests
{
    public DisposeScopeTests() => Finalizers.Run();

    [Fact]
    public void A_scope_frees_what_was_made_in_it()
    {
        var before = TensorCount.Live;
        using (var scope = NewDisposeScope())
        {
            _ = zeros(3) + 1;
            Assert.Equal(before + 2, TensorCount.Live);
            Assert.Equal(2, scope.DisposablesCount);
        }

        Assert.Equal(before, TensorCount.Live);
    }

    [Fact]
    public void A_tensor_belongs_to_the_innermost_scope()
    {
        using var outer = NewDisposeScope();
        var kept = zeros(1);
        Tensor lost;
        using (NewDisposeScope()) lost = zeros(1);
        Assert.True(lost.IsInvalid);
        Assert.False(kept.IsInvalid);
    }

    [Fact]
    public void Moved_out_it_lives_as_long_as_the_outer_scope()
    {
        Tensor moved;
        using (NewDisposeScope())
        {
            using (NewDisposeScope()) moved = zeros(1).MoveToOuterDisposeScope();
            Assert.False(moved.IsInvalid);
        }

        Assert.True(moved.IsInvalid);
    }

    [Fact]
    public void Moved_out_of_the_outermost_scope_it_is_the_caller_s()
    {
        Tensor moved;
        using (NewDisposeScope()) moved = zeros(1).MoveToOuterDisposeScope();
        Assert.False(moved.IsInvalid);
        moved.Dispose();
    }

    [Fact]
    public void Detached_it_outlives_every_scope()
    {
        Tensor detached;
        using (NewDisposeScope())
        using (NewDisposeScope()) detached = zeros(1).DetachFromDisposeScope();
        Assert.Equal(0, detached.sum().ToSingle());
        detached.Dispose();
    }

    [Fact]
    public void A_tensor_from_outside_can_be_given_to_a_scope()
    {
        var tensor = zeros(1);
        using (var scope = NewDisposeScope()) tensor.MoveToOtherDisposeScope(scope);
        Assert.True(tensor.IsInvalid);
    }

    [Fact]
    public void Ending_an_outer_scope_first_is_an_error_and_harmless()
    {
        var outer = NewDisposeScope();
        var inner = NewDisposeScope();
        var tensor = zeros(1);
        var error = Assert.Throws<InvalidOperationException>(outer.Dispose);
        Assert.Equal("Dispose scopes end in reverse order, on the thread that opened them.", error.Message);
        Assert.False(tensor.IsInvalid);
        inner.Dispose();
        outer.Dispose();
        Assert.True(tensor.IsInvalid);
    }

    [Fact]
    public void A_scope_holds_only_its_own_thread_s_tensors()
    {
        using var scope = NewDisposeScope();
        Tensor? other = null;
        var thread = new Thread(() => other = zeros(1));
        thread.Start();
        thread.Join();
        Assert.Equal(0, scope.DisposablesCount);
        other!.Dispose();
    }

    [Fact]
    public void Ending_twice_is_harmless()
    {
        var scope = NewDisposeScope();
        scope.Dispose();
        scope.Dispose();
        Assert.Throws<ObjectDisposedException>(() => scope.Include(zeros(1)));
    }

    [Fact]
    public void Tensors_disposed_by_hand_do_not_pile_up_in_a_long_scope()
    {
        using var scope = NewDisposeScope();
        for (var i = 0; i < 10_000; i++) zeros(1).Dispose();
        Assert.Equal(0, scope.DisposablesCount);
        Assert.InRange(scope.Capacity, 0, 64);
    }

    // Any sequence of making, moving, detaching and disposing in nested scopes leaves exactly the detached ones alive.
    [Fact]
    public void Whatever_happens_nothing_leaks_and_nothing_is_freed_early() =>
        FsCheck.Check.QuickThrowOnFailure(Prop.ForAll<byte[]>(actions =>
        {
            var before = TensorCount.Live;
            var detached = new List<Tensor>();
            Run(actions, 0, detached);
            var alive = detached.TrueForAll(tensor => !tensor.IsInvalid) && TensorCount.Live == before + detached.Count;
            detached.ForEach(tensor => tensor.Dispose());
            return alive && TensorCount.Live == before;
        }));

    private static int Run(byte[] actions, int at, List<Tensor> detached)
    {
        using var scope = NewDisposeScope();
        while (at < actions.Length)
        {
            switch (actions[at++] % 6)
            {
                case 0: return at;
                case 1: at = Run(actions, at, detached); break;
                case 2: detached.Add(zeros(1).DetachFromDisposeScope()); break;
                case 3 when scope.OuterScope is not null: zeros(1).MoveToOuterDisposeScope(); break;
                case 4: zeros(1).Dispose(); break;
                default: zeros(1); break;
            }
        }

        return at;
    }
}
