using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class ThreadTeamTests
{
    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(3, 1)]
    [InlineData(3, 7)]
    public void Every_index_of_every_loop_runs_once(int threads, int grain)
    {
        int[] counts = [0, 1, 2, 7, 100, 1001];
        int[][] times = [.. counts.Select(count => new int[count])];
        ThreadTeam team = new();
        for (int run = 1; run <= 20; run++)
        {
            WithThreads(threads, () => team.Run(Loops, alone: false));
            Assert.All(times, loop => Assert.All(loop, time => Assert.Equal(run, time)));
        }

        void Loops()
        {
            foreach (int[] loop in times)
                team.For(loop.Length, grain, (begin, end) =>
                {
                    for (long i = begin; i < end; i++) Interlocked.Increment(ref loop[i]);
                });
        }
    }

    [Fact]
    public void What_one_loop_writes_the_next_reads()
    {
        long[] numbers = new long[1000];
        ThreadTeam team = new();
        WithThreads(3, () => team.Run(Loops, alone: false));
        Assert.All(numbers, number => Assert.Equal(1 << 10, number));

        void Loops()
        {
            Array.Fill(numbers, 1);
            for (int loop = 0; loop < 10; loop++)
            {
                long[] before = [.. numbers];
                // Each reads what another thread may have written.
                team.For(numbers.Length, 1, (begin, end) =>
                {
                    for (long i = begin; i < end; i++) numbers[i] = before[i] + before[numbers.Length - 1 - i];
                });
            }
        }
    }

    [Fact]
    public void Alone_it_stays_on_the_calling_thread()
    {
        HashSet<int> on = [];
        ThreadTeam team = new();
        WithThreads(3, () => team.Run(() => team.For(100, 1, (_, _) => on.Add(Environment.CurrentManagedThreadId)), alone: true));
        Assert.Equal([Environment.CurrentManagedThreadId], on);
    }

    [Theory]
    [InlineData(0)] // of the first part, the calling thread's
    [InlineData(99)]
    public void A_failure_comes_back_and_the_team_goes_on(long index)
    {
        ThreadTeam team = new();
        WithThreads(3, () =>
        {
            Assert.Throws<InvalidOperationException>(() => team.Run(() => team.For(100, 1, Fail), alone: false));
            long sum = 0;
            team.Run(() => team.For(100, 1, (begin, end) => Interlocked.Add(ref sum, end - begin)), alone: false);
            Assert.Equal(100, sum);
        });

        void Fail(long begin, long end)
        {
            if (begin <= index && index < end) throw new InvalidOperationException();
        }
    }

    /// <summary>Runs with so many of libtorch's threads.</summary>
    internal static void WithThreads(int threads, Action work)
    {
        int before = get_num_threads();
        set_num_threads(threads);
        try
        {
            work();
        }
        finally
        {
            set_num_threads(before);
        }
    }
}
