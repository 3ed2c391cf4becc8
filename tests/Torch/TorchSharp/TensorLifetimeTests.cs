using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class TensorLifetimeTests
{
    public TensorLifetimeTests() => Finalizers.Run();

    [Fact]
    public void Using_a_disposed_tensor_is_an_exception()
    {
        var tensor = zeros(1);
        tensor.Dispose();
        tensor.Dispose();
        using var other = ones(1);
        Assert.True(tensor.IsInvalid);
        Assert.Equal("[disposed]", tensor.ToString());
        Assert.Throws<ObjectDisposedException>(() => tensor.add(1));
        Assert.Throws<ObjectDisposedException>(() => other.add(tensor));
        Assert.Throws<ObjectDisposedException>(() => tensor.shape);
        Assert.Throws<ObjectDisposedException>(() => tensor.ToSingle());
        Assert.Throws<ObjectDisposedException>(() => tensor.backward());
        Assert.Throws<ObjectDisposedException>(() => tensor.data<float>().ToArray());
    }

    [Fact]
    public void A_disposed_tensor_in_a_list_is_an_exception_and_leaves_the_others_usable()
    {
        var before = TensorCount.Live;
        using (var first = zeros(1))
        {
            var second = zeros(1);
            second.Dispose();
            Assert.Throws<ObjectDisposedException>(() => cat([first, second]));
        }

        Assert.Equal(before, TensorCount.Live);
    }

    [Fact]
    public void A_view_keeps_the_memory_alive()
    {
        var whole = arange(6).view(2, 3);
        using var row = whole[1];
        whole.Dispose();
        TensorAssert.Equal([3, 4, 5], row);
    }

    [Fact]
    public void A_forgotten_tensor_is_freed_by_the_finalizer()
    {
        var before = TensorCount.Live;
        Forget();
        Assert.Equal(before + 100, TensorCount.Live);
        Finalizers.Run();
        Assert.Equal(before, TensorCount.Live);
    }

    [Fact]
    public void Errors_carry_libtorch_s_message_and_leak_nothing()
    {
        using var scope = NewDisposeScope();
        var left = zeros(2, 3);
        var right = zeros(2, 3);
        var before = TensorCount.Live;
        var error = Assert.Throws<TorchException>(() => left.matmul(right));
        Assert.Equal("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", error.Message);
        Assert.Contains("shape '[4, 4]' is invalid for input of size 6", Assert.Throws<TorchException>(() => left.view(4, 4)).Message);
        Assert.Contains("einsum", Assert.Throws<TorchException>(() => einsum("ij,jk->ik,", left, right)).Message);
        Assert.Contains("element 0 of tensors does not require grad", Assert.Throws<TorchException>(() => left.sum().backward()).Message);
        Assert.InRange(TensorCount.Live - before, 0, 1);
    }

    [Fact]
    public void Threads_work_side_by_side_and_keep_their_own_errors()
    {
        var before = TensorCount.Live;
        Parallel.For(0, 8, seed =>
        {
            for (var i = 0; i < 200; i++)
            {
                using var scope = NewDisposeScope();
                var x = full([seed + 2, 3], seed);
                Assert.Equal(seed * 3.0 * (seed + 2), x.sum().ToDouble());
                var error = Assert.Throws<TorchException>(() => x.view(1000 + seed));
                Assert.Contains($"'[{1000 + seed}]'", error.Message);
            }
        });
        Assert.Equal(before, TensorCount.Live);
    }

    [Fact]
    public void Disposing_from_another_thread_during_use_never_crashes()
    {
        for (var round = 0; round < 200; round++)
        {
            var tensor = zeros(256);
            var reader = new Thread(() =>
            {
                try
                {
                    for (var i = 0; i < 50; i++) tensor.add(1).Dispose();
                }
                catch (ObjectDisposedException)
                {
                    // the other thread was first
                }
            });
            reader.Start();
            tensor.Dispose();
            reader.Join();
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget()
    {
        for (var i = 0; i < 100; i++) _ = zeros(1);
    }
}
