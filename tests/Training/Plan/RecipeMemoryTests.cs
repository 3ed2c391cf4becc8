using Trainer.Configuration;
using Trainer.Training.Plan;

namespace Trainer.Training.Tests.Plan;

/// <summary>What <c>plan --data</c> measures is of the whole process.</summary>
[Collection(nameof(Alone))]
public sealed class RecipeMemoryTests : IDisposable
{
    private readonly TinyRun tiny = new(characters: 30_000);

    [Fact]
    public void Little_memory_makes_smaller_micro_batches_and_too_little_is_said()
    {
        // Depth 3, as the runtime's own memory comes and goes by megabytes; half, as bfloat16 may be found faster the second time.
        RecipeGoal goal = new() { Data = tiny.TextPath, Depth = 3, Measuring = TimeSpan.FromSeconds(0.3) };
        long whole = Find(goal).PeakBytes!.Value;

        RecipePlan plan = Find(goal with { Memory = whole / 2 });

        Assert.InRange(plan.PeakBytes!.Value, 1, whole / 2);
        Assert.True((int)plan.Json["training"]!["microBatchSize"]! < (int)plan.Json["training"]!["batchSize"]!);
        var error = Assert.Throws<UserException>(() => Find(goal with { Memory = 1 << 20 }));
        Assert.Contains("takes more than 1 MiB even with one sequence at a time; give more --memory, or a smaller --depth", error.Message);
    }

    public void Dispose() => tiny.Dispose();

    private RecipePlan Find(RecipeGoal goal) => RecipeSearch.Find(goal, Path.Combine(tiny.Root, "datasets"), new Progress<string>());
}
