using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Transformers.Tests;

public class InitializeTests
{
    private const int Vocabulary = 256;

    private static readonly DecoderOptions Wide = Models.Llama with { Dim = 128, ContextLength = 32, Layers = 8 };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_fresh_model_knows_nothing(bool tied)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(7);
        using LanguageModel model = (Wide with { TieEmbeddings = tied }).Build(Vocabulary);
        Tensor tokens = randint(0, Vocabulary, [8, 32], ScalarType.Int64), targets = randint(0, Vocabulary, [8, 32], ScalarType.Int64);
        Assert.Equal(Math.Log(Vocabulary), model.LossSum(tokens, targets).item<float>() / (8 * 32), 0.1);
    }

    [Fact]
    public void Deviations_are_those_of_gpt2()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(8);
        using LanguageModel model = (Wide with { Bias = true, Attention = Wide.Attention with { QueryKeyNorm = true } }).Build(Vocabulary);
        foreach (var (name, parameter) in model.named_parameters())
        {
            double expected = name.EndsWith("output.weight") || name.EndsWith("down.weight") ? 0.02 / 4 : 0.02;
            if (parameter.dim() > 1) Assert.Equal(expected, parameter.reshape(-1).std(0).item<float>(), 0.03 * expected);
            else Assert.True(parameter.eq(name.EndsWith("bias") ? 0 : 1).all().item<bool>(), name);
        }
    }

    [Fact]
    public void The_same_seed_gives_the_same_weights()
    {
        manual_seed(9);
        using LanguageModel first = Models.Gpt.Build(Models.Vocabulary);
        manual_seed(9);
        using LanguageModel second = Models.Gpt.Build(Models.Vocabulary);
        foreach (var ((_, a), (_, b)) in first.named_parameters().Zip(second.named_parameters())) Assert.True(a.Equals(b));
    }

    [Fact]
    public void A_generator_of_its_own_leaves_the_global_one_alone()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Gpt.Build(Models.Vocabulary);
        Tensor before = get_rng_state();
        using Generator generator = new(10);
        Initialize.Apply(model, generator);
        Assert.True(before.Equals(get_rng_state()));
    }
}
