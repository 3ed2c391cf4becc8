namespace Trainer.Distributed.Tests;

public sealed class LauncherTests
{
    [Theory]
    [InlineData("OMPI_COMM_WORLD_SIZE=4", "mpirun of Open MPI", 4, "libmpi.so.40")]
    [InlineData("PMI_SIZE=3", "mpiexec of MPICH", 3, "libmpich.so.12")]
    [InlineData("SLURM_STEP_NUM_TASKS=8", "srun of Slurm", 8, "libmpi.so.40")]
    [InlineData("PMI_SIZE=8 SLURM_STEP_NUM_TASKS=8", "srun of Slurm (PMI)", 8, "libmpich.so.12")]
    // mpirun within a job starts its helpers by srun, one a machine.
    [InlineData("OMPI_COMM_WORLD_SIZE=16 SLURM_STEP_NUM_TASKS=2", "mpirun of Open MPI", 16, "libmpi.so.40")]
    [InlineData("PMIX_RANK=0", "a PMIx launcher", null, "libmpi.so.40")]
    public void The_environment_tells_what_started_the_process(string environment, string name, int? size, string library)
    {
        var launcher = Find(environment);
        Assert.Equal((name, size, library), (launcher!.Name, launcher.Size, launcher.Libraries[0]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("SLURM_NTASKS=4 SLURM_PROCID=0")] // the shell of a job, not a step of it
    [InlineData("PMI_SIZE=many")]
    public void Otherwise_there_is_one_process(string environment) => Assert.Null(Find(environment));

    private static Launcher? Find(string environment)
    {
        var variables = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(pair => pair.Split('='))
            .ToDictionary(pair => pair[0], pair => pair[1]);
        return Launcher.Find(variables.GetValueOrDefault);
    }
}
