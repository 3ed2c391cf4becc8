using System.Globalization;
using Trainer.Configuration;
using Trainer.Reporting.Sweeps;

namespace Trainer.Training.Sweeps;

/// <summary>What to sweep: a recipe's file and settings, each with its values (<c>path=1,2</c>) or a range of them
/// (<c>path=1e-4..1e-2</c>), of which all combinations are trained.</summary>
public sealed record SweepRequest(string Recipe, IReadOnlyList<string> Settings)
{
    /// <summary>The sweep's directory; null for runs/&lt;name&gt;-sweep.</summary>
    public string? Directory { get; init; }

    /// <summary>Runs of each configuration: with the recipe's seed, the next one, and so on.</summary>
    public int Seeds { get; init; } = 1;

    /// <summary>Runs that are trained at once.</summary>
    public int Jobs { get; init; } = 1;

    /// <summary>Configurations that are drawn at random; null for all combinations.</summary>
    public int? Random { get; init; }

    /// <summary>What random configurations are drawn from; null for 1.</summary>
    public long? DrawSeed { get; init; }

    /// <summary>The F of successive halving: of the configurations at a rung, 1/F go on. Null: all are trained in full.</summary>
    public int? Halving { get; init; }

    /// <summary>Where prepared data is.</summary>
    public string DatasetsDirectory { get; init; } = TrainingRequest.DefaultDatasetsDirectory;
}

/// <summary>A sweep that can be run: its definition, its directory and the recipe of each run, all of them valid.</summary>
internal sealed record SweepPlan(SweepDefinition Definition, string Directory, IReadOnlyList<Recipe> Recipes)
{
    private const int LongestName = 100;

    /// <summary>Makes the combinations and binds the recipe of every run; throws with everything that is wrong with any of them.</summary>
    /// <exception cref="ConfigurationException">The settings, or the recipes they make, have mistakes.</exception>
    public static SweepPlan Create(SweepRequest request)
    {
        List<Problem> problems = [];
        SweepSetting[] settings =
            [.. request.Settings.Select(text => SweepSetting.Parse(text, problems)).OfType<SweepSetting>()];
        problems.AddRange(SettingProblems(request, settings));
        if (problems.Count > 0) throw Wrong(request, problems);

        SweepSetting[] varied = [.. settings.Where(setting => setting.Varies)];
        string[] common = [.. settings.Except(varied).Select(setting => $"{setting.Path}={setting.Values[0]}")];
        SweepConfiguration[] configurations = [.. request.Random is { } count
            ? SweepDraws.Random(varied, count, request.DrawSeed ?? 1, problems)
            : SweepDraws.Grid(varied)];
        if (problems.Count > 0) throw Wrong(request, problems);

        SweepRecipes recipes = new(request.Recipe, common, [.. varied.Select(setting => setting.Path)]);
        Recipe[] bases = [.. recipes.Bind(configurations, problems)];
        if (problems.Count > 0) throw Wrong(request, problems);
        long[] rungs = [.. SuccessiveHalving.Rungs(request.Halving, bases, problems)];
        if (problems.Count > 0) throw Wrong(request, problems);

        List<SweepRun> runs = [];
        List<Recipe> seeded = [];
        foreach ((int index, SweepConfiguration configuration) in configurations.Index())
            for (int seed = 0; seed < request.Seeds; seed++)
            {
                Recipe recipe = bases[index] with { Seed = bases[index].Seed + seed };
                runs.Add(new SweepRun(NameOf(index, varied, configuration, request.Seeds > 1 ? recipe.Seed : null), index, recipe.Seed));
                seeded.Add(recipe.Resolve());
            }
        SweepDefinition definition = new()
        {
            Recipe = request.Recipe,
            Settings = request.Settings,
            Random = request.Random,
            DrawSeed = request.Random is null ? null : request.DrawSeed ?? 1,
            Seeds = request.Seeds,
            Halving = request.Halving,
            Rungs = rungs,
            Varied = [.. varied.Select(setting => setting.Path)],
            Configurations = configurations,
            Runs = runs,
        };
        return new SweepPlan(definition, request.Directory ?? Path.Combine("runs", $"{bases[0].Name}-sweep"), seeded);
    }

    private static IEnumerable<Problem> SettingProblems(SweepRequest request, SweepSetting[] settings)
    {
        if (request.Seeds < 1) yield return new("--seeds", $"{request.Seeds} runs of a configuration; give 1 or more");
        if (request.Jobs < 1) yield return new("--jobs", $"{request.Jobs} runs at once; give 1 or more");
        if (request.Random < 1) yield return new("--random", $"{request.Random} configurations; give 1 or more");
        if (request.DrawSeed is not null && request.Random is null)
            yield return new("--seed", "it draws nothing without --random; leave it out, or set the recipe's seed by --set seed=…");
        if (request.Halving < 2) yield return new("--halving", $"1/{request.Halving} of the configurations would go on; give 2 or more");
        foreach (IGrouping<string, SweepSetting> same in settings.GroupBy(setting => setting.Path).Where(same => same.Count() > 1))
            yield return new(same.Key, $"it is set {same.Count()} times; give all of its values to one --set");
        if (request.Random is null)
            foreach (SweepSetting ranged in settings.Where(setting => setting.Range is not null))
                yield return new(ranged.Path, "a range has no end of values; give their number to --random, or list values with commas");
        else if (!settings.Any(setting => setting.Varies))
            yield return new("--random", "no setting has values to draw from; give one several or a range, such as --set " +
                "optimizer.learningRate=1e-4..1e-2");
        if (request.Seeds > 1 && settings.Any(setting => setting.Path == "seed"))
            yield return new("seed", $"--seeds {request.Seeds} counts on from the recipe's seed; leave out one of the two");
    }

    private static ConfigurationException Wrong(SweepRequest request, IReadOnlyList<Problem> problems) =>
        new(problems, $"{request.Recipe}: nothing was started");

    /// <summary>Such as 003-learningRate-1e-3-seed-1338: a number for those whose values are long.</summary>
    private static string NameOf(int index, SweepSetting[] varied, SweepConfiguration configuration, long? seed)
    {
        string values = string.Concat(varied.Zip(configuration.Values, (setting, value) => $"-{setting.Path.Split('.')[^1]}-{value}"));
        string plain = string.Concat(values.Select(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.' ? c : '_'));
        if (plain.Length > LongestName) plain = plain[..LongestName];
        return string.Create(CultureInfo.InvariantCulture, $"{index + 1:000}{plain}{(seed is null ? "" : $"-seed-{seed}")}");
    }
}
