using Trainer.Distributed;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Distribution;

/// <summary>Ranks that are threads of this process, and add up in their order: what MPI does between processes, without starting any.</summary>
internal static class ThreadRanks
{
    /// <summary>Runs the same work on so many ranks at once and gives what each returns; throws what any of them throw.</summary>
    public static T[] Run<T>(int ranks, Func<IProcessGroup, T> work)
    {
        Meeting meeting = new(ranks);
        var results = new T[ranks];
        var failures = new Exception?[ranks];
        Thread[] threads = [.. Enumerable.Range(0, ranks).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = work(new Group(rank, meeting));
                Differentiation.ReleaseGradients();
            }
            catch (Exception error)
            {
                failures[rank] = error;
                meeting.Fail();
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        Exception[] all = [.. failures.OfType<Exception>()];
        if (all.Length > 0) throw new AggregateException(all);
        return results;
    }

    private sealed class Meeting(int ranks)
    {
        private readonly Barrier barrier = new(ranks);
        private volatile bool failed;

        public Tensor[] Tensors { get; } = new Tensor[ranks];

        public int Ranks => ranks;

        public void Fail()
        {
            failed = true;
            barrier.RemoveParticipant();
        }

        public void Meet()
        {
            if (failed) throw new InvalidOperationException("another rank failed");
            barrier.SignalAndWait();
        }
    }

    private sealed class Group(int rank, Meeting meeting) : IProcessGroup
    {
        public int Rank => rank;

        public int Size => meeting.Ranks;

        public int LocalRank => rank;

        public int LocalSize => meeting.Ranks;

        public string Description => $"{Size} threads";

        public TimeSpan Timeout { get; set; } = TimeSpan.FromMinutes(1);

        public PendingCollective BeginSum(Tensor tensor)
        {
            Exchange(tensor, all =>
            {
                Tensor sum = all[0].clone();
                foreach (Tensor other in all[1..]) sum.add_(other);
                return sum;
            }, tensor);
            return PendingCollective.Completed;
        }

        public PendingCollective BeginBroadcast(Tensor tensor, int root = 0)
        {
            Exchange(tensor, all => all[root], tensor);
            return PendingCollective.Completed;
        }

        public PendingCollective BeginGather(Tensor part, Tensor? whole, int root = 0)
        {
            Exchange(part, all => cat(all), rank == root ? whole : null);
            return PendingCollective.Completed;
        }

        public PendingCollective BeginAllGather(Tensor part, Tensor whole)
        {
            Exchange(part, all => cat(all), whole);
            return PendingCollective.Completed;
        }

        public PendingCollective BeginReduceScatter(Tensor whole, Tensor part)
        {
            Exchange(whole, all =>
            {
                Tensor sum = all[0].clone();
                foreach (Tensor other in all[1..]) sum.add_(other);
                return sum.narrow(0, rank * part.numel(), part.numel());
            }, part);
            return PendingCollective.Completed;
        }

        public void Barrier() => meeting.Meet();

        public void Abort(int exitCode) => throw new InvalidOperationException($"abort {exitCode}");

        public void Dispose()
        {
        }

        private void Exchange(Tensor given, Func<Tensor[], Tensor> compute, Tensor? target)
        {
            using IDisposable unrecorded = no_grad();
            using TorchSharp.DisposeScope scope = NewDisposeScope();
            meeting.Tensors[rank] = given;
            meeting.Meet();
            Tensor result = compute(meeting.Tensors).clone();
            meeting.Meet(); // all have read before any is written
            target?.copy_(result);
            meeting.Meet();
        }
    }
}
