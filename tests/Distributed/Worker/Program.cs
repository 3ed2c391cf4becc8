using System.Diagnostics;
using Trainer.Configuration;
using Trainer.Distributed;
using Trainer.Distributed.Worker;
using static TorchSharp.torch;

// One rank of several: `collectives rank|library`, `speed rank|library`, or a fault. The second word says in which order sums are formed.
set_num_threads(1);
try
{
    using var group = ProcessGroup.Join(TimeSpan.FromSeconds(60), args.Length > 1 ? args[1] == "rank" : null);
    try
    {
        if (args[0] == "collectives") Cases.Run(group, onlySums: args[1] == "library");
        else if (args[0] == "speed") Speed.Run(group);
        else Faults.Run(group, args[0]);
    }
    catch (Exception error)
    {
        Console.Error.WriteLine(error is UserException ? error.Message : error.ToString());
        group.Abort(3);
    }
    return 0;
}
catch (UserException error)
{
    Console.Error.WriteLine(error.Message);
    return error is LaunchException ? 2 : 1;
}

internal static class Faults
{
    public static void Run(IProcessGroup group, string fault)
    {
        group.Barrier();
        if (fault is "hang" or "stop") group.Timeout = TimeSpan.FromSeconds(1);
        if (group.Rank == group.Size - 1)
            switch (fault)
            {
                case "throw": throw new UserException($"rank {group.Rank}: out of paper");
                case "exit": Environment.Exit(3); break;
                case "kill": Process.GetCurrentProcess().Kill(); break;
                case "hang": Thread.Sleep(TimeSpan.FromMinutes(2)); break;
                case "stop": Process.Start("kill", ["-STOP", $"{Environment.ProcessId}"]).WaitForExit(); break;
            }
        using var tensor = ones(5);
        group.Sum(tensor);
        group.Sum(tensor);
        Console.WriteLine($"{group.Description}; MPI in memory: {IsLoaded("mpi")}; {group.GetType().Name}");
    }

    private static bool IsLoaded(string library) =>
        File.ReadLines("/proc/self/maps").Any(line => Path.GetFileName(line).StartsWith("lib" + library, StringComparison.Ordinal));
}

internal static class Speed
{
    public static void Run(IProcessGroup group)
    {
        foreach (long count in (long[])[1, 1000, 100_000, 2_500_000, 10_000_000])
        {
            using var tensor = ones(count);
            var best = double.PositiveInfinity;
            var (times, rounds) = count > 1_000_000 ? (5, 5) : count > 10_000 ? (100, 5) : (1000, 5);
            for (var round = 0; round < rounds; round++)
            {
                group.Sum(tensor);
                group.Barrier();
                var time = Stopwatch.StartNew();
                for (var i = 0; i < times; i++) group.Sum(tensor);
                best = Math.Min(best, time.Elapsed.TotalMicroseconds / times);
            }
            if (group.Rank == 0)
                Console.WriteLine($"{group.Description}: {count,10:N0} float32 {best,10:N0} µs {4 * count / best / 1e3,6:0.00} GB/s");
        }
    }
}
