using System.Diagnostics;

namespace Trainer.Distributed.Tests;

/// <summary>One rank fails; the others wait for it in a sum.</summary>
public sealed class FaultTests
{
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(Mpirun.OpenMpi, "throw", "rank 1: out of paper")]
    [InlineData(Mpirun.Mpich, "throw", "rank 1: out of paper")]
    [InlineData(Mpirun.OpenMpi, "kill", "")]
    [InlineData(Mpirun.Mpich, "exit", "")]
    [InlineData(Mpirun.OpenMpi, "hang",
        "rank 0 of 2: sum of 5 Float32 took longer than 1 s; rank 1 has not begun it, its last was a barrier.")]
    [InlineData(Mpirun.Mpich, "stop", "rank 0 of 2: sum of 5 Float32 took longer than 1 s; rank 1 does not answer.")]
    public void A_rank_that_fails_ends_all_with_one_message(string mpi, string fault, string message)
    {
        Mpirun.Require(mpi);
        var time = Stopwatch.StartNew();
        var run = Mpirun.Run(mpi, 2, [fault]);
        Assert.True(time.Elapsed < Soon, $"{time.Elapsed}");
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains(message, run.Output + run.Error);
        Assert.DoesNotContain("   at ", run.Output + run.Error);
    }
}
