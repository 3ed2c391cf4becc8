using System.Diagnostics;

namespace Trainer.Distributed.Tests;

/// <summary>Starts ranks by the mpirun of one MPI, as a user does.</summary>
internal static class Mpirun
{
    internal const string OpenMpi = "Open MPI", Mpich = "MPICH";

    private static readonly string Worker = Path.Combine(AppContext.BaseDirectory, "Trainer.Distributed.Worker.dll");

    /// <summary>Skips the test where there is no such MPI.</summary>
    internal static void Require(string mpi) => Assert.SkipUnless(
        Find(mpi) is not null, $"{mpi} is not there: apt install {(mpi == OpenMpi ? "openmpi-bin" : "mpich")}");

    internal static Outcome Run(string mpi, int ranks, string[] arguments, Dictionary<string, string?>? environment = null)
    {
        string[] oversubscribe = mpi == OpenMpi ? ["--oversubscribe", "--bind-to", "none"] : [];
        return Start(Find(mpi)!, [.. oversubscribe, "-n", $"{ranks}", "dotnet", "exec", Worker, .. arguments], environment);
    }

    /// <summary>Starts one process as nothing of several.</summary>
    internal static Outcome RunAlone(string[] arguments, Dictionary<string, string?>? environment = null) =>
        Start("dotnet", ["exec", Worker, .. arguments], environment);

    // Debian installs both side by side; elsewhere the one that is there is mpirun.
    private static string? Find(string mpi)
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        var own = mpi == OpenMpi ? "mpirun.openmpi" : "mpirun.mpich";
        if (folders.Any(folder => File.Exists(Path.Combine(folder, own)))) return own;
        var isThere = folders.Any(folder => File.Exists(Path.Combine(folder, "mpirun")));
        return isThere && Start("mpirun", ["--version"]).Output.Contains(mpi == OpenMpi ? "Open MPI" : "HYDRA") ? "mpirun" : null;
    }

    private static Outcome Start(string file, string[] arguments, Dictionary<string, string?>? environment = null)
    {
        var start = new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        // Open MPI refuses root otherwise; one thread for each of ranks that are more than the cores.
        string[] yes = ["OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMP_NUM_THREADS"];
        foreach (var name in yes) start.Environment[name] = "1";
        foreach (var (name, value) in environment ?? []) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        if (!process.WaitForExit(TimeSpan.FromMinutes(2)))
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{file} {string.Join(' ', arguments)} did not end: {output.Result}{error.Result}");
        }
        return new(process.ExitCode, output.Result, error.Result);
    }

    internal sealed record Outcome(int ExitCode, string Output, string Error);
}
