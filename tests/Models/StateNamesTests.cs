using Trainer.Models.Attention;
using Trainer.Models.FeedForward;

namespace Trainer.Models.Tests;

/// <summary>Names and shapes of the weights are the format of a checkpoint: they change only on purpose, and with them
/// Fixtures/StateNames.</summary>
public class StateNamesTests
{
    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["gpt"] = Models.Gpt with { Layers = 1, Bias = true },
        ["llama"] = Models.Variant("normed", "rotary") with { Layers = 1 },
        ["encoder"] = Models.Encoder with
        {
            Layers = 1,
            Bias = true,
            HeadBias = true,
            HeadTransform = true,
            EmbeddingNorm = true,
            Norm = new LayerNormOptions { Placement = NormPlacement.Post },
            FeedForward = new GeluOptions(),
        },
        ["encoder-decoder"] = Models.EncoderDecoder with
        {
            Layers = 1,
            Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2, QueryKeyNorm = true },
            FeedForward = new GeluOptions(),
        },
        ["latent"] = Models.Latent with { Layers = 1, Bias = true, Norm = new LayerNormOptions() },
        ["differential"] = Models.Variant("differential-grouped", "rotary") with { Layers = 1, Bias = true },
        ["mamba2"] = Models.Llama with { Layers = 1, Mixer = Models.Mamba2 },
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Names_and_shapes_are_those_of_checkpoints_so_far(string kind)
    {
        using LanguageModel model = Kinds[kind].Build(Models.Vocabulary);
        // A forward first: tables and masks it makes are no part of the state.
        ModelInput tokens = Models.Tokens(1, 4);
        model.forward(tokens with { Source = Kinds[kind] is EncoderDecoderOptions ? tokens : null }).Dispose();
        Assert.Equal(
            File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "StateNames", $"{kind}.txt")),
            model.state_dict().Select(entry => $"{entry.Key} {string.Join('x', entry.Value.shape)}"));
        Assert.Equal(model.state_dict().Keys, model.named_parameters().Select(entry => entry.name));
    }
}
