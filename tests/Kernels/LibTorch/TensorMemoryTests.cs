using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class TensorMemoryTests
{
    private const long Large = 23 << 20; // numbers, of which no other test has as many

    [Fact]
    public void It_is_installed_on_Linux_unless_a_user_tunes_malloc() =>
        Assert.Equal(OperatingSystem.IsLinux() && !CLibrary.IsTunedByUser, TensorMemory.IsInstalled);

    [Fact]
    public void Every_setting_of_malloc_leaves_it_alone()
    {
        if (CLibrary.IsTunedByUser) return;
        const string Perturb = "MALLOC_PERTURB_";
        Environment.SetEnvironmentVariable(Perturb, "1"); // of .NET's copy: glibc does not see it
        try
        {
            Assert.True(CLibrary.IsTunedByUser);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Perturb, null);
        }
    }

    [Fact]
    public void Sizes_grow_by_at_most_an_eighth_and_hold_what_they_are_for()
    {
        for (int kind = 1; kind < 200; kind++)
        {
            long before = TensorMemory.BytesOf(kind - 1), bytes = TensorMemory.BytesOf(kind);
            Assert.InRange(bytes, before + 1, Math.Max(before * 9 / 8, before + (1 << 16)));
            Assert.Equal(kind, TensorMemory.KindOf(bytes));
            Assert.Equal(kind, TensorMemory.KindOf(before + 1));
        }
    }

    [Fact]
    public void A_large_tensor_is_counted_while_it_lives()
    {
        Skip();
        long before = TensorMemory.InUse;
        Tensor tensor = ones(Large), view = tensor.narrow(0, 5, 7);
        Assert.Equal(before + sizeof(float) * Large, TensorMemory.InUse);
        tensor.Dispose();
        Assert.Equal(before + sizeof(float) * Large, TensorMemory.InUse); // the view still needs it
        view.Dispose();
        Assert.Equal(before, TensorMemory.InUse);
    }

    [Fact]
    public void What_one_tensor_leaves_another_takes()
    {
        Skip();
        using Tensor first = ones(Large);
        nint address = Block(first);
        first.Dispose();
        using Tensor smaller = ones(Large * 7 / 8);
        Assert.Equal(address, Block(smaller));
        using Tensor other = ones(Large);
        Assert.NotEqual(address, Block(other));
    }

    [Fact]
    public void Tensors_of_many_sizes_keep_their_numbers()
    {
        Skip();
        Random random = new(5);
        List<(Tensor Tensor, float Value)> held = [];
        long before = TensorMemory.InUse;
        for (int i = 0; i < 400; i++)
        {
            if (held.Count > 12)
            {
                int victim = random.Next(held.Count);
                (Tensor tensor, float value) = held[victim];
                Assert.True(IsFull(tensor, value));
                tensor.Dispose();
                held.RemoveAt(victim);
            }
            held.Add((full([random.Next(60_000, 2_000_000)], i, ScalarType.Float32), i));
        }
        foreach ((Tensor tensor, _) in held) tensor.Dispose();
        Assert.Equal(before, TensorMemory.InUse);
    }

    [Fact]
    public void Threads_take_and_free_each_others_tensors()
    {
        Skip();
        long before = TensorMemory.InUse;
        var made = new Tensor[4][];
        using WorkerThreads workers = new(4);
        for (int round = 0; round < 5; round++)
        {
            workers.Run(worker =>
                made[worker] = [.. Enumerable.Range(0, 10).Select(
                i => full([100_000 + 1000 * i], worker, ScalarType.Float32).DetachFromDisposeScope())]);
            workers.Run(worker =>
            {
                foreach (Tensor tensor in made[(worker + 1) % 4])
                {
                    Assert.True(IsFull(tensor, (worker + 1) % 4));
                    tensor.Dispose();
                }
            });
        }
        Assert.Equal(before, TensorMemory.InUse);
    }

    [Fact]
    public void Memory_that_lies_unused_goes_back_to_the_system()
    {
        Skip();
        using (Tensor huge = ones(50L << 20)) Assert.InRange(Environment.WorkingSet, 200L << 20, long.MaxValue);
        long with = Environment.WorkingSet;
        using Tensor another = ones(65L << 20); // 260 MiB of another size: what the first had is given back before
        Assert.InRange(Environment.WorkingSet, 0, with + (175L << 20));
    }

    [Fact]
    public void What_cannot_be_had_is_an_error_of_libtorch()
    {
        var error = Assert.ThrowsAny<Exception>(() => empty(1L << 50));
        Assert.Contains("memory", error.Message, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void More_than_the_machine_has_is_left_to_the_system_to_refuse()
    {
        Skip();
        long before = TensorMemory.InUse, bytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes + (1L << 30);
        try
        {
            using Tensor tensor = empty(bytes, ScalarType.Byte); // a system that promises whatever it is asked for gives it
            Assert.Equal(before, TensorMemory.InUse);
        }
        catch (System.Runtime.InteropServices.ExternalException error)
        {
            Assert.Contains("memory", error.Message, StringComparison.OrdinalIgnoreCase);
        }
    }

    private static void Skip() => Assert.SkipUnless(TensorMemory.IsInstalled, "tensors' memory is the C library's here");

    private static unsafe nint Block(Tensor tensor) => (nint)tensor.DataPointer / (1 << 16);

    private static bool IsFull(Tensor tensor, float value)
    {
        using Tensor same = tensor.eq(value), all = same.all();
        return all.item<bool>();
    }
}
