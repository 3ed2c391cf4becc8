using Trainer.Configuration;
using Trainer.Reporting.Sweeps;

namespace Trainer.Training.Sweeps;

/// <summary>The combinations of settings that a sweep trains.</summary>
internal static class SweepDraws
{
    // Where few are left, most draws have come up before.
    private const int AttemptsEach = 1000;

    /// <summary>All combinations; the last setting changes fastest.</summary>
    public static IEnumerable<SweepConfiguration> Grid(IReadOnlyList<SweepSetting> varied) =>
        varied.Aggregate((IEnumerable<string[]>)[[]], (rows, setting) =>
                rows.SelectMany(row => setting.Values.Select(value => (string[])[.. row, value])))
            .Select(row => new SweepConfiguration(row));

    /// <summary>Different combinations, drawn at random (Bergstra and Bengio 2012): the same from the same seed.</summary>
    public static IReadOnlyList<SweepConfiguration> Random(
        IReadOnlyList<SweepSetting> varied, int count, long seed, ICollection<Problem> problems)
    {
        Random random = new(unchecked((int)(seed ^ seed >> 32)));
        HashSet<string> known = [];
        List<SweepConfiguration> drawn = [];
        for (long attempt = 0; drawn.Count < count && attempt < (long)count * AttemptsEach; attempt++)
        {
            string[] values = [.. varied.Select(setting =>
                setting.Range?.Draw(random) ?? setting.Values[random.Next(setting.Values.Count)])];
            if (known.Add(string.Join('\n', values))) drawn.Add(new SweepConfiguration(values));
        }
        if (drawn.Count < count)
            problems.Add(new Problem("--random", $"{count} configurations, and there are {drawn.Count} different ones; give " +
                $"{drawn.Count} or fewer, or leave out --random for all"));
        return drawn;
    }
}

/// <summary>Binds a recipe with the settings of configurations over it.</summary>
internal sealed class SweepRecipes(string file, IReadOnlyList<string> common, IReadOnlyList<string> varied)
{
    /// <summary>The recipe of each configuration; adds the problems of all, each once.</summary>
    public IReadOnlyList<Recipe> Bind(IReadOnlyList<SweepConfiguration> configurations, List<Problem> problems)
    {
        List<Recipe> recipes = [];
        Dictionary<Problem, List<string>> found = [];
        foreach (SweepConfiguration configuration in configurations)
        {
            string[] own = [.. varied.Zip(configuration.Values, (path, value) => $"{path}={value}")];
            try
            {
                recipes.Add(ConfigurationLoader.Load<Recipe>(file, [.. common, .. own]).Value);
            }
            catch (ConfigurationException error)
            {
                foreach (Problem problem in error.Problems)
                    (found.TryGetValue(problem, out List<string>? where) ? where : found[problem] = []).Add(string.Join(", ", own));
            }
        }
        problems.AddRange(found.Select(entry => entry.Value.Count == configurations.Count || entry.Value[0].Length == 0
            ? entry.Key
            : entry.Key with { Message = $"{entry.Key.Message}; so with {Where(entry.Value)}" }));
        return recipes;
    }

    private static string Where(List<string> combinations) =>
        combinations.Count == 1 ? combinations[0] : $"{combinations[0]} and {combinations.Count - 1} more combinations";
}
