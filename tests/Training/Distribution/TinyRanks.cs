using Trainer.Distributed;

namespace Trainer.Training.Tests.Distribution;

/// <summary>Trains a tiny recipe on ranks that are threads.</summary>
internal static class TinyRanks
{
    public const double Rate = 1e-2;

    public static void UseTraining(this TinyRun tiny, Func<TrainingOptions, TrainingOptions> change) =>
        tiny.Recipe = tiny.Recipe with { Training = change(tiny.Recipe.Training) };

    /// <summary>What the same work gives on each rank, with a state of its own.</summary>
    public static T[] OnRanks<T>(this TinyRun tiny, int ranks, Func<TrainState, T> work) => tiny.OnRanks(ranks, (state, _) => work(state));

    public static T[] OnRanks<T>(this TinyRun tiny, int ranks, Func<TrainState, IProcessGroup, T> work)
    {
        _ = tiny.Data;
        Lock building = new(); // seeds belong to the whole process
        return ThreadRanks.Run(ranks, group =>
        {
            TrainState state;
            lock (building) state = tiny.NewState(tiny.Data, group);
            using (state) return work(state, group);
        });
    }

    /// <summary>Takes steps with a state, or, where it is null, with a new one in one process.</summary>
    public static (double[] Losses, float[] Weights) TakeSteps(this TinyRun tiny, int steps, TrainState? state = null)
    {
        using TrainState? own = state is null ? tiny.NewState() : null;
        state ??= own!;
        var losses = new double[steps];
        for (int step = 0; step < steps; step++)
        {
            state.TakeStep(Rate);
            losses[step] = state.Read().Loss;
        }
        return (losses, [.. state.Model.parameters().SelectMany(parameter => parameter.data<float>().ToArray())]);
    }
}
