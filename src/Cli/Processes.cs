using Trainer.Distributed;

namespace Trainer.Cli;

/// <summary>Commands that several processes carry out together, started by mpirun or srun.</summary>
internal static class Processes
{
    /// <summary>Runs a command with the other processes that were started, if there are any; all end where one fails. Its exit code has to
    /// be the same on all.</summary>
    internal static int Together(Func<IProcessGroup, int> work)
    {
        using var group = ProcessGroup.Join();
        if (group.Size == 1) return work(group);
        var failed = false;
        var code = CommandLineApp.Guard(() => work(group), message =>
        {
            failed = true;
            // What all ranks fail at, the first has told by then, and has ended them: on busy processors that takes a while.
            if (group.Rank > 0) Thread.Sleep(TimeSpan.FromSeconds(5));
            Console.Error.WriteLine(group.Rank > 0 ? $"rank {group.Rank}: {message}" : message);
        });
        if (failed) group.Abort(code);
        return code;
    }
}
