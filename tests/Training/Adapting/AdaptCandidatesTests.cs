using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Positions;
using Trainer.Training.Adapting;

namespace Trainer.Training.Tests.Adapting;

public sealed class AdaptCandidatesTests : IDisposable
{
    private const int Vocabulary = 50;

    private readonly TinyRun tiny = new(dropout: 0);

    public AdaptCandidatesTests() => tiny.Recipe = tiny.Recipe with
    {
        Model = new DecoderOptions
        {
            Dim = 32, Layers = 4, ContextLength = 128, Attention = new MultiHeadOptions { Heads = 4 }, Position = new RotaryOptions(),
        },
        Training = tiny.Recipe.Training with { Steps = 1000, BatchSize = 8, MicroBatchSize = 4 },
        Schedule = new CosineSchedule { WarmupSteps = 100, DecaySteps = 900 },
    };

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Heads_and_windows_are_combined()
    {
        Assert.Equal(
            [
                "2 key-value heads", "1 key-value head",
                "window 32 in 3 of 4 layers", "2 key-value heads, window 32 in 3 of 4 layers", "1 key-value head, window 32 in 3 of 4 layers",
                "window 32", "2 key-value heads, window 32", "1 key-value head, window 32",
                "window 16 in 3 of 4 layers", "2 key-value heads, window 16 in 3 of 4 layers", "1 key-value head, window 16 in 3 of 4 layers",
                "window 16", "2 key-value heads, window 16", "1 key-value head, window 16",
            ], Candidates().Select(candidate => candidate.Name));
    }

    // 4 layers, 4 heads of 8 numbers for keys and as many for values, 4 bytes each: 1,024 bytes a token. A rolling cache of a window of 32
    // has room for 48, one of 16 for 32.
    [Theory]
    [InlineData("2 key-value heads", 512)]
    [InlineData("1 key-value head", 256)]
    [InlineData("window 32", 384)]
    [InlineData("window 32 in 3 of 4 layers", 544)]
    [InlineData("1 key-value head, window 16 in 3 of 4 layers", 112)]
    public void Their_cache_is_that_of_a_whole_context(string name, double expected) =>
        Assert.Equal(expected, Candidates().Single(candidate => candidate.Name == name).CacheBytesPerToken);

    [Fact]
    public void A_variant_begins_with_the_weights_and_trains_a_twentieth_of_the_steps()
    {
        Recipe recipe = Candidates().Single(candidate => candidate.Name == "2 key-value heads, window 32").Recipe;
        Assert.Equal(("runs/base/step", 2), (recipe.Initialize!.From, recipe.Initialize.Convert!.KeyValueHeads));
        Assert.Equal((50, 5, 8), (recipe.Training.Steps, recipe.Schedule.WarmupSteps, recipe.Training.BatchSize));
        Assert.Null(Assert.IsType<CosineSchedule>(recipe.Schedule).DecaySteps);
        Assert.Equal(32, Assert.IsType<SlidingOptions>(recipe.Resolve().Model.Attention.Pattern).Window);
        Assert.IsType<GroupedQueryOptions>(recipe.Resolve().Model.Attention);
    }

    [Fact]
    public void A_longer_context_scales_positions_and_keeps_the_tokens_of_a_step()
    {
        AdaptCandidate[] all = [.. Candidates(new AdaptRequest("runs/base", 1e6) { Context = 512, Scaling = ["yarn", "linear"] })];
        Assert.Contains("yarn", all.Select(candidate => candidate.Name));
        Recipe recipe = all.Single(candidate => candidate.Name == "window 128, linear").Recipe;
        Assert.Equal((512, 2, 1), (recipe.Model.ContextLength, recipe.Training.BatchSize, recipe.Training.MicroBatch));
        LinearScaling scaling = Assert.IsType<LinearScaling>(Assert.IsType<RotaryOptions>(recipe.Model.Position).Scaling);
        Assert.Equal(4, scaling.Factor);
    }

    [Fact]
    public void A_context_that_cannot_be_had_is_refused()
    {
        Assert.Contains("--context: 64 is less than the model's context of 128", Error(64), StringComparison.Ordinal);
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Position = new LearnedOptions() } };
        Assert.Contains("--rope-scaling: scales rotary positions, and model.position is 'learned'", Error(256), StringComparison.Ordinal);
    }

    [Fact]
    public void A_model_with_windows_of_its_own_keeps_them()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with { Attention = new MultiHeadOptions { Heads = 4, Pattern = new SlidingOptions { Window = 20 } } },
        };
        Assert.Equal(["2 key-value heads", "1 key-value head"], Candidates().Select(candidate => candidate.Name));
    }

    private string Error(int context) => Assert.Throws<ConfigurationException>(
        () => Candidates(new AdaptRequest("runs/base", 1e6) { Context = context })).Message;

    private IReadOnlyList<AdaptCandidate> Candidates(AdaptRequest? request = null) =>
        AdaptCandidates.Of(tiny.Recipe, "runs/base/step", request ?? new("runs/base", 1e6), Vocabulary);
}
