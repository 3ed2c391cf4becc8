using Trainer.Distributed;
using static TorchSharp.torch;

namespace Trainer.Training.Distribution;

/// <summary>Divides a machine's processors among the ranks on it.</summary>
internal static class ProcessorShare
{
    private const string Threads = "OMP_NUM_THREADS", AllowedProcessors = "Cpus_allowed_list:";

    /// <summary>Sets the threads of libtorch to this rank's share of the processors that it may use: all of them where the launcher bound
    /// ranks to processors of their own, and what OMP_NUM_THREADS says in any case.</summary>
    public static void Take(IProcessGroup group)
    {
        if (group.Size == 1 || Environment.GetEnvironmentVariable(Threads) is { Length: > 0 }) return;
        string own = $"{Environment.MachineName} {Allowed()}";
        int sharing = group.AllGather(own).Count(other => other == own);
        set_num_threads(Math.Max(1, Environment.ProcessorCount / sharing));
    }

    // "0-1"; other systems do not bind processes, so that all ranks of a machine share it.
    private static string Allowed()
    {
        const string status = "/proc/self/status";
        if (!File.Exists(status)) return "";
        return File.ReadLines(status).FirstOrDefault(line => line.StartsWith(AllowedProcessors, StringComparison.Ordinal)) ?? "";
    }
}
