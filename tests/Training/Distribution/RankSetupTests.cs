using TorchSharp;
using Trainer.Configuration;
using Trainer.Distributed;
using Trainer.Training.Distribution;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Distribution;

/// <summary>What ranks agree on before the first step.</summary>
public sealed class RankSetupTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose()
    {
        set_num_threads(1); // as all tests here
        tiny.Dispose();
    }

    // libtorch counts threads for each thread that calls it, which here stands for a process.
    [Fact]
    public void Where_the_environment_says_how_many_threads_all_ranks_take_the_fewest_of_any()
    {
        const string Variable = "OMP_NUM_THREADS";
        string? before = Environment.GetEnvironmentVariable(Variable);
        Environment.SetEnvironmentVariable(Variable, "1"); // of .NET's copy: libtorch does not see it
        try
        {
            int[] threads = ThreadRanks.Run(3, group =>
            {
                _ = get_num_threads(); // the first question of a thread gives it the process's number
                set_num_threads(4 - group.Rank);
                ProcessorShare.Take(group);
                return get_num_threads();
            });
            Assert.Equal([2, 2, 2], threads);
        }
        finally
        {
            Environment.SetEnvironmentVariable(Variable, before);
        }
    }

    [Fact]
    public void Ranks_of_which_only_some_see_a_GPU_are_refused()
    {
        AggregateException error = Assert.Throws<AggregateException>(() => ThreadRanks.Run(2, group =>
        {
            if (group.Rank > 0) // exchanges what a rank with a GPU does
            {
                ProcessorShare.Take(group);
                return group.AllGather($"{DeviceType.CUDA}").Count;
            }
            RankSetup.Begin(tiny.Recipe, group, new Progress<string>());
            group.Abort(1); // or the other would wait
            return 0;
        }));

        Assert.StartsWith("training.device: some processes see a GPU and others see none; ",
            Assert.IsType<UserException>(Assert.Single(error.InnerExceptions)).Message);
    }
}
