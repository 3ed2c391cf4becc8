using System.Text.Json.Nodes;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Reporting.Sweeps;

namespace Trainer.Training.Sweeps;

/// <summary>Refuses to go on with a sweep by another definition, or with a recipe that changed since.</summary>
internal static class SweepConflict
{
    /// <summary>Throws with what differs.</summary>
    public static void RequireSame(SweepPlan plan, SweepDefinition before)
    {
        string[] changes = [.. Changes(before, plan.Definition)];
        if (changes.Length == 0) changes = [.. RecipeChanges(plan)];
        if (changes.Length == 0) return;
        throw new UserException($"{plan.Directory}: another sweep is here:\n{string.Concat(changes.Select(change => $"  {change}\n"))}" +
            "set it back to go on with this one, or start another with --run and a new directory");
    }

    private static IEnumerable<string> Changes(SweepDefinition before, SweepDefinition now)
    {
        (string Name, object? Before, object? Now)[] parts =
        [
            ("config", before.Recipe, now.Recipe),
            ("--set", string.Join(' ', before.Settings), string.Join(' ', now.Settings)),
            ("--seeds", before.Seeds, now.Seeds),
            ("--random", before.Random, now.Random),
            ("--seed", before.DrawSeed, now.DrawSeed),
            ("--halving", before.Halving, now.Halving),
        ];
        foreach ((string name, object? then, object? later) in parts)
            if (!Equals(then, later)) yield return $"{name} was {then ?? "absent"} and is {later ?? "absent"} now";
    }

    /// <summary>The recipe's file may have been edited.</summary>
    private static IEnumerable<string> RecipeChanges(SweepPlan plan)
    {
        foreach ((SweepRun run, Recipe recipe) in plan.Definition.Runs.Zip(plan.Recipes))
        {
            string path = Path.Combine(plan.Directory, run.Name, CheckpointFiles.Configuration);
            if (!File.Exists(path)) continue;
            JsonObject now = JsonNode.Parse(ConfigurationJson.Serialize(recipe))!.AsObject();
            IReadOnlyList<string> changes =
                ResumeValidation.Differences(Recipe.Load(path), recipe, [.. now.Select(section => section.Key)]);
            if (changes.Count > 0) return changes.Select(change => $"{run.Name}: {change}");
        }
        return [];
    }
}
