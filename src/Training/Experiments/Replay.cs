using Trainer.Data.Preparation;
using Trainer.Distributed;
using Trainer.Models.Devices;
using Trainer.Training.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Experiments;

/// <summary>Takes steps of a run again, from one of its checkpoints or from its beginning, in memory: with the run's recipe, threads,
/// libraries and kind of machine they are the run's own, bit for bit. Neither evaluates nor writes anything.</summary>
internal sealed class Replay : IDisposable
{
    private readonly Recipe recipe;

    private Replay(Recipe recipe, TrainingData data, TrainState state) => (this.recipe, Data, State) = (recipe, data, state);

    public TrainingData Data { get; }

    /// <summary>Model, optimizer, place in the data and random states after the last step taken.</summary>
    public TrainState State { get; }

    /// <summary>Restores a checkpoint, or what the recipe begins with where <paramref name="from"/> is null. Throws where the data changed
    /// since.</summary>
    public static Replay Begin(Recipe recipe, ResumePoint? from, string datasetsDirectory, IProgress<string> progress)
    {
        Device device = DeviceSelection.Choose(recipe.Training.Device);
        DeviceSelection.SetDeterministic(recipe.Training.Deterministic, device);
        DeviceSelection.SetPrecision(recipe.Training.Precision, device);
        TrainingData data = RecipeData.Prepare(recipe, datasetsDirectory, progress);
        try
        {
            from?.RequireData(data.Fingerprint);
            return new Replay(recipe, data, TrainState.Start(recipe, data, device, from, new Ranks(new SingleProcess(), progress)));
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
