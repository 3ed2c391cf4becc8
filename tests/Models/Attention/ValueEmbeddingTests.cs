using TorchSharp;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Attention;

public sealed class ValueEmbeddingTests
{
    private static readonly DecoderOptions Options = Models.Llama with { Attention = Models.Projections["value-embedding"] };

    [Fact]
    public void It_adds_a_row_of_its_table_to_the_values_of_each_token()
    {
        using DisposeScope scope = NewDisposeScope();
        using ValueEmbedding embedding = new(vocabularySize: 3, width: 4, dim: 16);
        using (no_grad())
        {
            embedding.get_parameter("weight")!.copy_(arange(12, ScalarType.Float32).view(3, 4));
            embedding.get_parameter("scales")!.copy_(tensor(new[] { 2f, 0.5f }));
        }
        Tensor values = ones(1, 2, 2, 2), tokens = tensor(new long[] { 2, 0 }).view(1, 2);

        Tensor sum = embedding.AddTo(values, tokens);

        TensorAssert.Equal([6, 6.5, 7, 7.5, 2, 2.5, 3, 3.5], sum.view(-1));
    }

    [Fact]
    public void Without_its_share_a_model_is_the_one_without_tables()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel with = Options.Build(Models.Vocabulary), without =
            (Options with { Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 } }).Build(Models.Vocabulary);
        Dictionary<string, Tensor> weights = with.named_parameters().ToDictionary(entry => entry.name, entry => (Tensor)entry.parameter);
        using (no_grad())
        {
            foreach ((string name, TorchSharp.Modules.Parameter parameter) in without.named_parameters()) parameter.copy_(weights[name]);
            foreach (string name in weights.Keys.Where(name => name.EndsWith("scales", StringComparison.Ordinal)))
                weights[name].copy_(tensor(new[] { 1f, 0f }));
        }
        Tensor tokens = randint(Models.Vocabulary, [2, 8], dtype: int64);

        TensorAssert.Close(without.forward(tokens), with.forward(tokens), 1e-5);
        using (no_grad())
            foreach (string name in weights.Keys.Where(name => name.EndsWith("scales", StringComparison.Ordinal))) weights[name].fill_(1f);
        TensorAssert.Apart(without.forward(tokens), with.forward(tokens), 1e-4);
    }

    [Fact]
    public void It_begins_as_large_as_values_are_and_its_numbers_are_counted()
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Options with { Dim = 64 };
        manual_seed(5);
        using LanguageModel model = options.Build(1000);

        ModelCost cost = ModelCost.Of(options, 1000), plain =
            ModelCost.Of(options with { Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 } }, 1000);

        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), cost.Parameters);
        Assert.Equal(plain.Parameters + 2 * (1000 * 32 + 2), cost.Parameters);
        Assert.Equal(plain.ForwardFlopsPerToken(8), cost.ForwardFlopsPerToken(8));
        Tensor table = model.named_parameters().First(entry => entry.name.EndsWith("valueEmbedding.weight", StringComparison.Ordinal)).parameter;
        Assert.Equal(0.02 * 8, table.std().item<float>(), 0.005);
        Assert.Equal(ParameterRole.Embedding, model.ParameterLayout().Roles["blocks.0.mixer.projection.valueEmbedding.weight"]);
    }
}
