using System.Globalization;
using Trainer.Distributed;
using static TorchSharp.torch;

namespace Trainer.Training.Distribution;

/// <summary>Divides a machine's processors among the ranks on it.</summary>
internal static class ProcessorShare
{
    private const string Threads = "OMP_NUM_THREADS", AllowedProcessors = "Cpus_allowed_list:";

    /// <summary>Sets the threads of libtorch to the smallest share of any rank, of the processors that it may use: all of them where the
    /// launcher bound ranks to processors of their own, and what OMP_NUM_THREADS says in any case.</summary>
    /// <remarks>As many on every rank: Muon and Adafactor add up whole matrices, in one part for each thread, and each rank has to come to
    /// the same bits.</remarks>
    public static void Take(IProcessGroup group)
    {
        if (group.Size == 1) return;
        // All ranks ask: a variable that is set on one machine need not be on another.
        string own = $"{Environment.MachineName} {Allowed()}";
        int sharing = group.AllGather(own).Count(other => other == own);
        int threads = Environment.GetEnvironmentVariable(Threads) is { Length: > 0 }
            ? get_num_threads()
            : Math.Max(1, Environment.ProcessorCount / sharing);
        set_num_threads(group.AllGather($"{threads}").Min(text => int.Parse(text, CultureInfo.InvariantCulture)));
    }

    // "0-1"; other systems do not bind processes, so that all ranks of a machine share it.
    private static string Allowed()
    {
        const string status = "/proc/self/status";
        if (!File.Exists(status)) return "";
        return File.ReadLines(status).FirstOrDefault(line => line.StartsWith(AllowedProcessors, StringComparison.Ordinal)) ?? "";
    }
}
