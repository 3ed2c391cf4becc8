using Trainer.Models.FeedForward;

namespace Trainer.Checkpoints.HuggingFace.Families;

/// <summary>Hugging Face's names of the functions between the two matrices of a plain feed-forward layer.</summary>
internal static class Activations
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

    /// <summary>A plain layer.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="key">The setting that names the function.</param>
    /// <param name="fallback">The function where the setting is absent.</param>
    /// <param name="width">The hidden width.</param>
    public static FeedForwardOptions Plain(HuggingFaceConfig config, string key, string fallback, int width) => config.Choice(key, fallback, Known) with { HiddenDim = width };

    /// <summary>The name of a layer's function, or of the nearest one there is.</summary>
    public static string Name(FeedForwardOptions options) => Known.FirstOrDefault(entry => entry.Value.GetType() == options.GetType()).Key ?? "gelu";
}
