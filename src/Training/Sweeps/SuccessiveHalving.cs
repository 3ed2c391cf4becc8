using Trainer.Configuration;

namespace Trainer.Training.Sweeps;

/// <summary>Successive halving (Jamieson and Talwalkar 2016, arXiv 1502.07943): all configurations are trained for a share of the steps,
/// the best 1/F of them for F times as many, and so on, all on the schedule of the whole run.</summary>
internal static class SuccessiveHalving
{
    /// <summary>The steps at which configurations are compared, at evaluations: steps/F^k for every k that leaves one or more.</summary>
    public static IEnumerable<long> Rungs(int? factor, IReadOnlyList<Recipe> recipes, ICollection<Problem> problems)
    {
        if (factor is not { } f) return [];
        long steps = recipes[0].Training.Steps, every = recipes[0].Evaluation.Every;
        foreach (string path in (string[])["training.steps", "evaluation.every"])
            if (recipes.Any(recipe => path == "training.steps" ? recipe.Training.Steps != steps : recipe.Evaluation.Every != every))
                problems.Add(new Problem(path, "configurations are compared at the same steps with --halving, so that it cannot vary; " +
                    "give it one value, or leave out --halving"));
        if (recipes.Count < f)
            problems.Add(new Problem("--halving", $"of {recipes.Count} configurations not even one is 1/{f}; give {f} or more, or leave " +
                "it out"));
        if (problems.Count > 0) return [];

        int count = Divisions(recipes.Count, f);
        long first = steps / (long)Math.Pow(f, count);
        if (every == 0 || every > first)
            problems.Add(new Problem("evaluation.every", $"the first rung of --halving {f} is at step {first} of {steps}, before the " +
                $"first evaluation (every is {every}); set it to {Math.Max(1, first)} or less" +
                (first < 1 ? ", and training.steps higher" : "")));
        if (problems.Count > 0) return [];
        return Enumerable.Range(1, count).Reverse().Select(k => steps / (long)Math.Pow(f, k) / every * every);
    }

    /// <summary>Of so many configurations those that go on from a rung, at least one.</summary>
    public static int Kept(int configurations, int factor) => Math.Max(1, configurations / factor);

    /// <summary>How often a number can be divided before less than one is left.</summary>
    private static int Divisions(int count, int factor)
    {
        int divisions = 0;
        for (; count >= factor; count /= factor) divisions++;
        return divisions;
    }
}
