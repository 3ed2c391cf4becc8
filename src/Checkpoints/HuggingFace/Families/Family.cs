using System.Text.Json.Nodes;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.FeedForward;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Converts a family's settings and weights. A new one is one file and one line in <see cref="FamilyRegistry"/>.</summary>
/// <remarks><see cref="Write"/> refuses nothing: a model belongs to a family if what is written reads back as the same model.</remarks>
internal abstract class Family
{
    public abstract string ModelType { get; }

    /// <summary>The class that transformers builds, as in <c>architectures</c>.</summary>
    public abstract string Architecture { get; }

    /// <summary>The model that a configuration describes; <paramref name="config"/> collects settings that cannot be expressed.</summary>
    public abstract ModelOptions Read(HuggingFaceConfig config);

    public abstract JsonObject Write(ModelOptions model);

    public abstract WeightMap Weights(ModelOptions model, int vocabulary);

    /// <summary>The model that a configuration and the tensors beside it describe.</summary>
    public virtual ModelOptions Read(ModelOptions configured, IWeightSource stored) => configured;
}

internal static class FamilyRegistry
{
    /// <summary>Of several families that have a model, the first is taken.</summary>
    public static IReadOnlyList<Family> All { get; } =
    [
        new Llama(), new Mistral(), new Qwen2(), new Qwen3(), new Mixtral(), new DeepSeekV3(), new Gpt2(), new GptNeoX(), new Bloom(),
        new Bert(), new T5(), new Bart(),
    ];

    public static Family Of(HuggingFaceConfig config) =>
        All.FirstOrDefault(family => family.ModelType == config.ModelType)
        ?? throw new UserException($"{config.Location}: model_type is \"{config.ModelType}\"; this program knows {Known}");

    /// <summary>The first family whose settings, written and read back, describe the same model.</summary>
    public static Family Of(ModelOptions model)
    {
        List<(Family Family, FamilyMismatch Mismatch)> tried = [];
        foreach (Family family in All)
        {
            FamilyMismatch mismatch = Mismatch(family, model);
            if (mismatch.Count == 0) return family;
            tried.Add((family, mismatch));
        }
        (Family nearest, FamilyMismatch standing) = tried.MinBy(entry => entry.Mismatch.Count);
        throw new UserException(
            $"no family of Hugging Face's has this model ({Known} were tried); nearest is {nearest.ModelType}, but for:\n"
            + string.Join('\n', standing.Lines.Select(line => $"  {line}")));
    }

    private static string Known => string.Join(", ", All.Select(family => family.ModelType));

    public static FamilyMismatch Mismatch(Family family, ModelOptions model)
    {
        JsonObject written = family.Write(CanonicalModel.Resolved(model));
        HuggingFaceConfig config = HuggingFaceConfig.Of((JsonObject)JsonNode.Parse(written.ToJsonString())!);
        ModelOptions again = family.Read(config);
        string[] refusals = [.. config.Refusals.Select(problem => $"{family.ModelType}: {problem.Path} {problem.Message}")];
        return new(refusals, CanonicalModel.Differences(model, again));
    }
}

/// <summary>Written settings that a family cannot read back, and settings of the model that it would lose.</summary>
internal sealed record FamilyMismatch(IReadOnlyList<string> Refusals, IReadOnlyList<SettingDifference> Differences)
{
    public int Count => Refusals.Count + Differences.Count;

    public IEnumerable<string> Lines =>
        [.. Refusals, .. SettingDifference.Reported(Differences).Select(difference => difference.ToString())];
}

internal static class ActivationNames
{
    private static readonly IReadOnlyDictionary<string, FeedForwardOptions> Known = new Dictionary<string, FeedForwardOptions>
    {
        ["gelu"] = new GeluOptions(),
        ["gelu_new"] = new GeluTanhOptions(),
        ["gelu_pytorch_tanh"] = new GeluTanhOptions(),
        ["gelu_fast"] = new GeluTanhOptions(),
        ["relu"] = new ReluOptions(),
        ["silu"] = new SiluOptions(),
        ["swish"] = new SiluOptions(),
        ["relu2"] = new SquaredReluOptions(),
    };

    /// <summary>A plain feed-forward layer with the activation that the setting <paramref name="key"/> names.</summary>
    public static FeedForwardOptions Read(HuggingFaceConfig config, string key, string fallback, int width) =>
        config.Choice(key, fallback, Known) with { HiddenDim = width };

    public static string Of(FeedForwardOptions options) =>
        Known.FirstOrDefault(entry => entry.Value.GetType() == options.GetType()).Key ?? "gelu";
}
