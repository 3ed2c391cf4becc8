using Trainer.Configuration;

namespace Trainer.Distributed;

/// <summary>Joins this process to those that were started with it.</summary>
public static class ProcessGroup
{
    /// <summary>How long a process waits for the others unless told otherwise.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromMinutes(10);

    /// <summary>The group that mpirun, mpiexec or srun started; <see cref="SingleProcess"/>, with nothing loaded, if none did or it started
    /// one process.</summary>
    /// <param name="timeout">How long to wait for the others, at the start and in each collective.</param>
    /// <param name="inRankOrder">Whether sums of float32 and float64 are formed in the order of ranks, as one process would that computes
    /// their parts in turn: bit for bit the same with every MPI library. If not, in the order that the library likes. Null: on one machine,
    /// where it costs nothing.</param>
    /// <exception cref="LaunchException">There is no MPI library that goes with what started the processes.</exception>
    /// <exception cref="UserException">The others do not come, or the library reports a fault.</exception>
    public static IProcessGroup Join(TimeSpan? timeout = null, bool? inRankOrder = null)
    {
        if (Launcher.Find(Environment.GetEnvironmentVariable) is not { Size: not 1 } launcher) return new SingleProcess();
        var library = Load(launcher, Environment.GetEnvironmentVariable(MpiLibrary.Variable));
        var group = MpiProcessGroup.Start(library, timeout ?? DefaultTimeout, inRankOrder);
        if (launcher.Size is not { } size || group.Size == size) return group;
        // Nothing is exchanged with others yet, and MPI_Finalize might wait for helpers that the other launcher does not have.
        throw new LaunchException($"{launcher.Name} started {size} processes, but {library.Name} ({library.File}) sees {group.Size}: "
            + "library and launcher belong to different MPIs. " + Advice(launcher));
    }

    /// <summary>Names and values for a report on this machine: the MPI libraries and the NCCL that would be found.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Libraries()
    {
        yield return new("MPI", DescribeMpi());
        yield return new("NCCL", NcclLibrary.Describe());
    }

    internal static MpiLibrary Load(Launcher launcher, string? chosen)
    {
        if (chosen is { Length: > 0 })
            return MpiLibrary.TryLoad(chosen)
                ?? throw new LaunchException($"{MpiLibrary.Variable}: {chosen} cannot be loaded as a library; name the file of an MPI "
                    + $"library, such as {Launcher.OpenMpi[0]}, or unset it.");
        return MpiLibrary.TryLoad(launcher.Libraries) ?? throw new LaunchException(
            $"{launcher.Name} started {Count(launcher)}, but there is no MPI library for it: none of "
            + $"{string.Join(", ", launcher.Libraries)} was found. Install one (apt install {launcher.Package}), or name its file by "
            + $"{MpiLibrary.Variable}.");
    }

    private static string Count(Launcher launcher) => launcher.Size is { } size ? $"{size} processes" : "processes";

    private static string Advice(Launcher launcher) => Environment.GetEnvironmentVariable(MpiLibrary.Variable) is { Length: > 0 }
        ? $"Unset {MpiLibrary.Variable}, or start with the mpirun of the same MPI."
        : launcher.Name.StartsWith("srun", StringComparison.Ordinal)
            ? "Try srun --mpi=pmix for Open MPI, --mpi=pmi2 for MPICH."
            : $"Start with the mpirun of the same MPI, or name its library by {MpiLibrary.Variable}.";

    private static string DescribeMpi()
    {
        try
        {
            if (Environment.GetEnvironmentVariable(MpiLibrary.Variable) is { Length: > 0 } chosen)
                return MpiLibrary.TryLoad(chosen) is { } own
                    ? $"{own.Name} ({chosen}, from {MpiLibrary.Variable})" : $"{chosen} cannot be loaded ({MpiLibrary.Variable})";
            string[] files = [.. Launcher.OpenMpi, .. Launcher.Mpich, .. Launcher.StandardAbi];
            var found = files.Select(MpiLibrary.TryLoad).OfType<MpiLibrary>().Select(library => $"{library.Name} ({library.File})");
            return string.Join(", ", found) is { Length: > 0 } all ? all : "none; several processes need one: apt install openmpi-bin";
        }
        catch (LaunchException error)
        {
            return error.Message;
        }
    }
}

/// <summary>Processes were started that cannot find together. The command line exits with 2.</summary>
public sealed class LaunchException(string message) : UserException(message);
