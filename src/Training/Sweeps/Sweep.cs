using Trainer.Configuration;

namespace Trainer.Training.Sweeps;

/// <summary>Trains a recipe with many combinations of settings, each run in a process and a run directory of its own.</summary>
public static class Sweep
{
    /// <summary>Runs a sweep, or goes on with it; <paramref name="program"/> is this program's file and first arguments, which its verb
    /// <c>train</c> follows. Returns the sweep's directory, and whether all was trained before <paramref name="stop"/>.</summary>
    /// <exception cref="ConfigurationException">The settings or the recipes they make have mistakes; nothing was started.</exception>
    /// <exception cref="UserException">Another sweep is in the directory, or it cannot be used.</exception>
    public static (string Directory, bool IsDone) Run(
        SweepRequest request, IReadOnlyList<string> program, IProgress<string> progress, StopSignal stop)
    {
        SweepPlan plan = SweepPlan.Create(request);
        progress.Report($"{plan.Directory}: {plan.Definition.Configurations.Count} configurations, {plan.Definition.Runs.Count} runs, " +
            $"{request.Jobs} at once");
        SweepRunner runner = new(plan, request.Jobs, new TrainProcess(program, request.Jobs, progress), progress);
        return (plan.Directory, runner.Run(request.DatasetsDirectory, stop.Token).GetAwaiter().GetResult());
    }
}
