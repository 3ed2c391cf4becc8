using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class ParallelForTests
{
    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [InlineData(1000, 7)]
    [InlineData(3, 100)]
    public void Every_iteration_runs_once(int count, int grain)
    {
        int before = get_num_threads();
        set_num_threads(3);
        try
        {
            int[] times = new int[count];
            ParallelFor.Run(count, grain, Count);
            Assert.All(times, time => Assert.Equal(1, time));
            ParallelFor.RunGuided(count, grain, Count);
            Assert.All(times, time => Assert.Equal(2, time));

            void Count(long begin, long end)
            {
                for (long i = begin; i < end; i++) Interlocked.Increment(ref times[i]);
            }
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Fact]
    public void A_failure_comes_back()
    {
        int before = get_num_threads();
        set_num_threads(2);
        try
        {
            Assert.Throws<InvalidOperationException>(
                () => ParallelFor.Run(2, 1, (begin, _) => throw new InvalidOperationException($"{begin}")));
        }
        finally
        {
            set_num_threads(before);
        }
    }

    [Fact]
    public void Threads_that_work_alone_run_it_alone()
    {
        using WorkerThreads workers = new(2);
        workers.Run(_ =>
        {
            List<int> on = [];
            ParallelFor.Run(100, 1, (_, _) => on.Add(Environment.CurrentManagedThreadId));
            Assert.Equal([Environment.CurrentManagedThreadId], on);
        });
    }
}
