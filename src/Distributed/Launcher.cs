using System.Globalization;

namespace Trainer.Distributed;

/// <summary>The kinds of MPI library, which differ in their handles.</summary>
internal enum MpiKind
{
    OpenMpi,
    Mpich,
    StandardAbi,
}

/// <summary>What started this process beside others, as the environment tells.</summary>
/// <param name="Name">As a user calls it.</param>
/// <param name="Size">How many processes it started; null where it does not say.</param>
/// <param name="Libraries">Files of the MPI libraries that go with it, the likeliest first.</param>
/// <param name="Package">What brings such a library on Debian and Ubuntu.</param>
internal sealed record Launcher(string Name, int? Size, IReadOnlyList<string> Libraries, string Package)
{
    internal static readonly string[] OpenMpi = ["libmpi.so.40", "libmpi.so.80"];
    // libmpi.so.12 is MPICH's own name, and that of Intel MPI, Cray MPICH and MVAPICH2.
    internal static readonly string[] Mpich = ["libmpich.so.12", "libmpi.so.12"];
    internal static readonly string[] StandardAbi = ["libmpi_abi.so.0", "libmpi_abi.so"];

    private const string OpenMpiPackage = "openmpi-bin", MpichPackage = "mpich";

    /// <summary>Reads the environment; null if nothing there speaks of several processes.</summary>
    /// <remarks>Within a job of Slurm, mpirun starts its own helpers by srun, so that Slurm's count is not that of the ranks. The count of
    /// a step is used, not SLURM_NTASKS, which the shell of a job has as well.</remarks>
    public static Launcher? Find(Func<string, string?> environment)
    {
        if (Number("OMPI_COMM_WORLD_SIZE") is { } openMpi)
            return new("mpirun of Open MPI", openMpi, [.. OpenMpi, .. StandardAbi], OpenMpiPackage);
        bool isSlurm = Number("SLURM_STEP_NUM_TASKS") is not null;
        if (Number("PMI_SIZE") is { } mpich)
            return isSlurm
                ? new("srun of Slurm (PMI)", mpich, [.. Mpich, .. OpenMpi, .. StandardAbi], MpichPackage)
                : new("mpiexec of MPICH", mpich, [.. Mpich, .. StandardAbi], MpichPackage);
        if (isSlurm)
            return new("srun of Slurm", Number("SLURM_STEP_NUM_TASKS"), [.. OpenMpi, .. Mpich, .. StandardAbi], OpenMpiPackage);
        return environment("PMIX_RANK") is { Length: > 0 }
            ? new("a PMIx launcher", null, [.. OpenMpi, .. Mpich, .. StandardAbi], OpenMpiPackage)
            : null;

        int? Number(string name) =>
            int.TryParse(environment(name), NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : null;
    }
}
