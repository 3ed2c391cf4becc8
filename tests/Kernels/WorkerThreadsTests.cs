using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class WorkerThreadsTests
{
    [Fact]
    public void Every_thread_works_once_a_run_on_one_core()
    {
        using var workers = new WorkerThreads(3);
        var threads = new int[3];
        for (var run = 1; run <= 50; run++)
        {
            var calls = new int[3];
            workers.Run(worker =>
            {
                calls[worker]++;
                using var scope = NewDisposeScope();
                // Both libraries set a thread up on its first parallel operation: afterwards the limit has to stand.
                nn.functional.gelu(randn(64, 64)).matmul(randn(64, 64)).sum().ToDouble();
                threads[worker] = get_num_threads();
            });
            Assert.Equal([1, 1, 1], calls);
            Assert.Equal([1, 1, 1], threads);
        }
    }

    [Fact]
    public void Other_threads_keep_theirs()
    {
        var before = get_num_threads();
        using var workers = new WorkerThreads(2);
        workers.Run(_ => { });
        Assert.Equal(before, get_num_threads());
    }

    [Fact]
    public void The_first_failure_comes_back_and_the_threads_go_on()
    {
        using var workers = new WorkerThreads(2);
        var error = Assert.Throws<InvalidOperationException>(
            () => workers.Run(worker => throw new InvalidOperationException($"worker {worker}")));
        Assert.Equal("worker 0", error.Message);
        var sum = 0;
        workers.Run(worker => Interlocked.Add(ref sum, worker + 1));
        Assert.Equal(3, sum);
    }

    [Fact]
    public void A_null_reference_is_an_exception_on_every_thread_although_libraries_of_libtorch_want_the_signal()
    {
        using var workers = new WorkerThreads(1);
        string? nothing = null;
        Assert.Throws<NullReferenceException>(() => workers.Run(_ => nothing!.GetHashCode()));
        Assert.Throws<NullReferenceException>(() => nothing!.GetHashCode());
    }

    // With AMX tiles in use the registers that the system saves are 8 KiB longer.
    [Fact]
    public void A_null_reference_is_an_exception_after_products_too()
    {
        using WorkerThreads workers = new(2);
        string? nothing = null;
        for (int round = 0; round < 3; round++)
        {
            workers.Run(_ => Multiply());
            Assert.Throws<NullReferenceException>(() => workers.Run(_ => nothing!.GetHashCode()));
            Multiply();
            Assert.Throws<NullReferenceException>(() => nothing!.GetHashCode());
        }

        static void Multiply()
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor left = ones([128, 128], ScalarType.BFloat16);
            using Tensor product = MatrixProduct.Multiply(left, left);
        }
    }
}
