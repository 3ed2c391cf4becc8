using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Distributed;
using Trainer.Training.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Experiments;

/// <summary>Takes steps of a run again, from one of its checkpoints or from its beginning, in memory: with the run's recipe, threads,
/// libraries and kind of machine they are the run's own, bit for bit. Neither evaluates nor writes anything.</summary>
internal sealed class Replay : IDisposable
{
    private readonly Recipe recipe;

    private Replay(Recipe recipe, TrainingData data, TrainState state, Ranks ranks) =>
        (this.recipe, Data, State, Ranks) = (recipe, data, state, ranks);

    /// <summary>The processes that take the steps together.</summary>
    public Ranks Ranks { get; }

    public TrainingData Data { get; }

    /// <summary>Model, optimizer, place in the data and random states after the last step taken.</summary>
    public TrainState State { get; }

    /// <summary>Restores a checkpoint, or what the recipe begins with where <paramref name="from"/> is null. Throws where the data changed
    /// since, or where so many processes cannot take the steps.</summary>
    public static Replay Begin(
        Recipe recipe, ResumePoint? from, string datasetsDirectory, IProgress<string> progress, IProcessGroup? processes = null)
    {
        IProcessGroup group = processes ?? new SingleProcess();
        Problem[] problems = [.. RankSetup.Validate(recipe, group.Size)];
        if (problems.Length > 0)
            throw new UsageException($"{group.Size} processes cannot take the run's steps again; start as many as trained it, which its " +
                "log says, or one:" + string.Concat(problems.Select(problem => $"\n  {problem.Path}: {problem.Message}")));
        (Ranks ranks, Device device) = RankSetup.Begin(recipe, group, progress);
        TrainingData data = RankSetup.Prepare(recipe, datasetsDirectory, ranks);
        try
        {
            from?.RequireData(data.Fingerprint);
            TrainState state = TrainState.Start(recipe, data, device, from, ranks);
            ranks.TellOthers();
            return new Replay(recipe, data, state, ranks);
        }
        catch
        {
            data.Dispose();
            throw;
        }
    }

    /// <summary>Takes one step at the learning rate of the run's schedule.</summary>
    public StepFigures.Reading TakeStep()
    {
        State.TakeStep(recipe.LearningRateAfter(State.Step));
        return State.Read();
    }

    /// <summary>Takes steps until so many are done.</summary>
    public void AdvanceTo(long step)
    {
        while (State.Step < step) State.TakeStep(recipe.LearningRateAfter(State.Step));
    }

    public void Dispose()
    {
        State.Dispose();
        Data.Dispose();
    }
}
