using Trainer.Models.Attention;
using Trainer.Models.FeedForward.Experts;

namespace Trainer.Models.Tests;

public sealed class HiddenMatricesTests
{
    private static readonly Dictionary<string, ModelOptions> Architectures = new()
    {
        ["gpt"] = Models.Gpt,
        ["llama"] = Models.Llama,
        ["hybrid"] = Models.Hybrid,
        ["latent"] = Models.Latent,
        ["differential"] = Models.Llama with { Attention = new DifferentialOptions { Heads = 4 } },
        ["value-embedding"] = Models.Llama with { Attention = Models.Projections["value-embedding"] },
        ["experts"] = Models.Llama with { FeedForward = new ExpertsOptions { Experts = 4, Active = 2, Shared = 1 } },
        ["encoder"] = Models.Encoder,
        ["encoder-decoder"] = Models.EncoderDecoder,
    };

    public static TheoryData<string> Names => [.. Architectures.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void They_are_all_matrices_of_blocks_and_their_parts_have_all_rows(string name)
    {
        using LanguageModel model = Architectures[name].Build(Models.Vocabulary);
        Dictionary<string, long[]> shapes = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter.shape);

        IReadOnlyList<HiddenMatrix> hidden = model.ParameterLayout().Matrices;

        Assert.Equal(
            shapes.Where(entry => entry.Key.Contains("blocks.") && !entry.Key.Contains("Embedding") && entry.Value is [.., > 1, > 1]).Select(entry => entry.Key).Order(),
            hidden.Select(matrix => matrix.Name).Order());
        Assert.All(hidden, matrix => Assert.Equal(shapes[matrix.Name][^2], matrix.Parts.Sum(part => part.Rows)));
        Assert.All(hidden.SelectMany(matrix => matrix.Parts), part => Assert.Equal(0, part.Rows % part.Heads));
    }

    [Theory]
    [InlineData("llama", "blocks.0.mixer.projection.qkv.weight", "16/4 8/2 8/2")]
    [InlineData("llama", "blocks.1.mixer.output.weight", "16/1")]
    [InlineData("llama", "blocks.1.feedForward.gateUp.weight", "64/1 64/1")]
    [InlineData("gpt", "blocks.0.feedForward.up.weight", "64/1")]
    [InlineData("latent", "blocks.0.mixer.projection.queryUp.weight", "32/4")]
    [InlineData("latent", "blocks.0.mixer.projection.keyValueDown.weight", "8/1 4/1")]
    [InlineData("latent", "blocks.0.mixer.projection.keyValueUp.weight", "40/4")]
    [InlineData("differential", "blocks.0.mixer.projection.heads.qkv.weight", "16/4 16/4 16/2")]
    [InlineData("experts", "blocks.0.feedForward.experts.gateUp", "64/1 64/1")]
    [InlineData("experts", "blocks.0.feedForward.experts.down", "16/1")]
    [InlineData("experts", "blocks.0.feedForward.router.weight", "4/1")]
    [InlineData("hybrid", "blocks.0.mixer.input.weight", "32/1 32/1 6/1 6/1 8/1")]
    [InlineData("encoder-decoder", "decoder.blocks.0.cross.projection.query.weight", "16/4")]
    [InlineData("encoder-decoder", "decoder.blocks.0.cross.projection.keyValue.weight", "16/4 16/4")]
    public void Fused_projections_say_what_they_are_made_of(string name, string matrix, string parts)
    {
        using LanguageModel model = Architectures[name].Build(Models.Vocabulary);

        IReadOnlyList<MatrixRows> found = model.ParameterLayout().Matrices.Single(entry => entry.Name == matrix).Parts;

        Assert.Equal(parts, string.Join(" ", found.Select(part => $"{part.Rows}/{part.Heads}")));
    }
}
