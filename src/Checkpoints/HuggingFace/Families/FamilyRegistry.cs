using System.Text.Json.Nodes;
using Trainer.Configuration;
using Trainer.Models;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>The families there are, and which one a configuration or a model belongs to.</summary>
internal static class FamilyRegistry
{
    /// <summary>All families, those first that say more about a model.</summary>
    public static IReadOnlyList<Family> All { get; } = [new Llama(), new Mistral(), new Qwen2(), new Qwen3(), new Mixtral(), new DeepSeekV3(), new Gpt2(), new GptNeoX(), new Bloom(), new Bert(), new T5(), new Bart()];

    /// <summary>The family that a configuration names.</summary>
    /// <exception cref="UserException">It is not known; the message lists those that are.</exception>
    public static Family Of(HuggingFaceConfig config) =>
        All.FirstOrDefault(family => family.ModelType == config.ModelType)
        ?? throw new UserException($"{config.Location}: model_type is \"{config.ModelType}\"; this program knows {string.Join(", ", All.Select(family => family.ModelType))}");

    /// <summary>The first family that has a model, which is: whose settings, written and read again, describe the same model.</summary>
    /// <exception cref="UserException">None has; the message says for the nearest family which settings stand in the way.</exception>
    public static Family Of(ModelOptions model)
    {
        List<(Family Family, FamilyObstacles Obstacles)> tried = [];
        foreach (Family family in All)
        {
            FamilyObstacles obstacles = Obstacles(family, model);
            if (obstacles.Count == 0) return family;
            tried.Add((family, obstacles));
        }
        (Family nearest, FamilyObstacles standing) = tried.MinBy(entry => entry.Obstacles.Count);
        throw new UserException(
            $"no family of Hugging Face's has this model ({string.Join(", ", All.Select(family => family.ModelType))} were tried); nearest is {nearest.ModelType}, but for:\n"
            + string.Join('\n', standing.Lines.Select(line => $"  {line}")));
    }

    /// <summary>The settings of a model that a family would lose.</summary>
    public static FamilyObstacles Obstacles(Family family, ModelOptions model)
    {
        JsonObject written = family.Write(CanonicalModel.Resolved(model));
        HuggingFaceConfig config = HuggingFaceConfig.Of((JsonObject)JsonNode.Parse(written.ToJsonString())!);
        ModelOptions again = family.Read(config);
        return new([.. config.Refusals.Select(problem => $"{family.ModelType}: {problem.Path} {problem.Message}")], CanonicalModel.Differences(model, again));
    }
}

/// <summary>What keeps a model from being of a family.</summary>
/// <param name="Refusals">What the family itself cannot read of what was written.</param>
/// <param name="Differences">What it would lose.</param>
internal sealed record FamilyObstacles(IReadOnlyList<string> Refusals, IReadOnlyList<SettingDifference> Differences)
{
    /// <summary>How many.</summary>
    public int Count => Refusals.Count + Differences.Count;

    /// <summary>A line for each that has something to say.</summary>
    public IEnumerable<string> Lines => [.. Refusals, .. SettingDifference.Telling(Differences).Select(difference => difference.ToString())];
}
