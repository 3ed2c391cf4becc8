namespace Trainer.Distributed.Tests;

public sealed class JoinTests
{
    [Fact]
    public void One_process_loads_no_MPI() => Assert.Equal(
        "1 process; MPI in memory: False; SingleProcess\n", Mpirun.RunAlone(["none"]).Output);

    [Fact]
    public void Processes_without_a_library_are_refused_in_one_line()
    {
        var launcher = new Launcher("mpirun of Open MPI", 4, ["libnone.so.1", "libnone.so.2"], "openmpi-bin");
        Assert.Equal(
            "mpirun of Open MPI started 4 processes, but there is no MPI library for it: none of libnone.so.1, libnone.so.2 was found. "
                + "Install one (apt install openmpi-bin), or name its file by TRAINER_MPI.",
            Assert.Throws<LaunchException>(() => ProcessGroup.Load(launcher, null)).Message);
    }

    [Fact]
    public void A_library_that_is_not_there_is_refused_in_one_line()
    {
        var run = Mpirun.RunAlone(["none"], new() { ["OMPI_COMM_WORLD_SIZE"] = "2", ["TRAINER_MPI"] = "/none/libmpi.so" });
        Assert.Equal(2, run.ExitCode);
        Assert.Equal(
            "TRAINER_MPI: /none/libmpi.so cannot be loaded as a library; name the file of an MPI library, such as libmpi.so.40, or "
                + "unset it.\n",
            run.Error);
    }

    [Fact]
    public void A_library_that_is_none_of_MPI_is_refused_with_what_it_lacks()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "names a library of Linux");
        Assert.Equal(
            "libm.so.6 is no MPI library of version 3 or newer: it lacks MPI_Error_string.",
            Assert.Throws<LaunchException>(() => MpiLibrary.TryLoad("libm.so.6")).Message);
    }

    [Theory]
    [InlineData(Mpirun.OpenMpi, "libmpich.so.12", "mpirun of Open MPI started 2 processes, but MPICH ")]
    [InlineData(Mpirun.Mpich, "libmpi.so.40", "mpiexec of MPICH started 2 processes, but Open MPI ")]
    public void A_library_of_another_MPI_than_its_launcher_is_found_out(string mpi, string library, string message)
    {
        Mpirun.Require(Mpirun.OpenMpi);
        Mpirun.Require(Mpirun.Mpich);
        var run = Mpirun.Run(mpi, 2, ["none"], new() { ["TRAINER_MPI"] = library });
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains(message, run.Output + run.Error);
        Assert.Contains($"({library}) sees 1: library and launcher belong to different MPIs.", run.Output + run.Error);
    }

    [Theory]
    [InlineData("Open MPI v4.1.4, package: Debian OpenMPI, ident: 4.1.4, repo rev: v4.1.4, May 26, 2022", "Open MPI 4.1.4")]
    [InlineData("MPICH Version:\t4.0.2\nMPICH Release date:\tThu Apr  7 12:34:45 CDT 2022\n", "MPICH 4.0.2")]
    [InlineData("Intel(R) MPI Library 2021.10 for Linux* OS\n", "Intel(R) MPI Library 2021.10")]
    [InlineData("MVAPICH2 Version      :\t2.3.7\n", "MVAPICH2 2.3.7")]
    [InlineData("Some  other MPI\nof 2030", "Some other MPI")]
    public void A_library_is_called_by_name_and_version(string text, string name) => Assert.Equal(name, MpiLibrary.ShortName(text));
}
