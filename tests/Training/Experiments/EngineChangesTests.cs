using Trainer.Training.Experiments;

namespace Trainer.Training.Tests.Experiments;

public sealed class EngineChangesTests
{
    private static readonly string[] Log =
    [
        "2026-11-30 22:53:11.665Z  engine: libtorch 2.10.0, AVX2, 1 of 2 processors",
        "2026-11-30 22:53:11.665Z  processes: Open MPI 4.1.4, 2 processes on 1 machine",
        "2026-11-30 22:53:11.665Z  computing: every operation on 1 threads",
        "2026-11-30 22:53:14.807Z  processes: waited for gradients for 25.4 %, 32.3 % of the time of training",
    ];

    [Fact]
    public void Nothing_differs_where_all_is_as_the_log_says_however_long_processes_waited() => Assert.Empty(EngineChanges.Find(
        Log,
        ["engine: libtorch 2.10.0, AVX2, 1 of 2 processors", "processes: Open MPI 4.1.4, 2 processes on 1 machine",
            "computing: every operation on 1 threads"]));

    [Fact]
    public void Another_number_of_processes_is_named_with_the_way_out() => Assert.Equal(
        ["processes: Open MPI 4.1.4, 2 processes on 1 machine in the run's log, none here; verify with as many"],
        EngineChanges.Find(Log, ["engine: libtorch 2.10.0, AVX2, 1 of 2 processors", "computing: every operation on 1 threads"]));
}
