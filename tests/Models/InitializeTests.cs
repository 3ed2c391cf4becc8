using TorchSharp;
using Trainer.Models.Mixers;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests;

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
    public void Every_block_begins_as_the_identity_where_residual_matrices_begin_at_zero()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(8);
        using LanguageModel scaled = Wide.Build(Vocabulary);
        manual_seed(8);
        using LanguageModel zero = (Wide with { ResidualInit = ResidualInitialization.Zero }).Build(Vocabulary);
        foreach (((string name, var before), (_, var after)) in scaled.named_parameters().Zip(zero.named_parameters()))
        {
            bool joins = name.EndsWith("output.weight") || name.EndsWith("down.weight");
            TensorAssert.SameBits(joins ? zeros_like(before) : before.detach(), after.detach());
        }
        Tensor tokens = randint(0, Vocabulary, [2, 32], ScalarType.Int64);
        Tensor table = zero.named_parameters().First(entry => entry.name == "embedding.weight").parameter;
        Tensor rows = table.index_select(0, tokens.view(-1)).view(2, 32, -1);
        TensorAssert.Close(rows.div(rows.square().mean([-1], keepdim: true).add(Wide.Norm.Epsilon).sqrt()), zero.Hidden(tokens), 1e-4);
    }

    [Fact]
    public void A_state_space_starts_with_the_decays_and_steps_of_its_reference()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(11);
        // 256 heads of one number.
        DecoderOptions options = Wide with { Mixer = new Mamba2Options { HeadDim = 1, StateDim = 2 } };
        using LanguageModel model = options.Build(Vocabulary);
        var weights = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        float[] Of(string name, Func<Tensor, Tensor> change) =>
            change(weights[$"blocks.0.mixer.{name}"]).reshape(-1).data<float>().ToArray();

        float[] decays = Of("logDecay", weight => weight.exp()), steps = Of("stepBias", weight => weight.softplus());
        Assert.All(decays, decay => Assert.InRange(decay, 0.999f, 16.001f));
        Assert.Equal(8.5, decays.Average(), 1.0);
        Assert.All(steps, step => Assert.InRange(step, 0.00099f, 0.1001f));
        Assert.Equal(Math.Log(0.01), steps.Average(step => Math.Log(step)), 0.3);
        Assert.All(Of("skip", weight => weight), value => Assert.Equal(1, value));
        foreach (string name in (string[])["convolution.weight", "convolution.bias"])
        {
            float[] values = Of(name, weight => weight);
            Assert.All(values, value => Assert.InRange(value, -0.5f, 0.5f));
            Assert.Equal(1 / Math.Sqrt(12), Math.Sqrt(values.Average(value => (double)value * value)), 0.03);
        }
        Assert.Equal(0.02, weights["blocks.0.mixer.input.weight"].reshape(-1).std(0).item<float>(), 1e-3);
        Assert.Equal(0.02 / 4, weights["blocks.0.mixer.output.weight"].reshape(-1).std(0).item<float>(), 3e-4);
    }

    [Fact]
    public void A_seed_s_first_numbers_are_none_of_the_weights()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(10);
        using LanguageModel model = Wide.Build(Vocabulary);
        manual_seed(10);
        randn(Vocabulary, Wide.Dim);
        Tensor expected = randn(Vocabulary, Wide.Dim).mul(0.02);
        TensorAssert.Close(expected, model.state_dict()["embedding.weight"], 1e-7);
    }

    [Fact]
    public void The_same_seed_gives_the_same_weights()
    {
        manual_seed(9);
        using LanguageModel first = Models.Gpt.Build(Models.Vocabulary);
        manual_seed(9);
        using LanguageModel second = Models.Gpt.Build(Models.Vocabulary);
        foreach (var ((_, a), (_, b)) in first.named_parameters().Zip(second.named_parameters())) TensorAssert.Same(a, b);
    }

    [Fact]
    public void A_generator_of_its_own_leaves_the_global_one_alone()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Models.Gpt.Build(Models.Vocabulary);
        Tensor before = get_rng_state();
        using Generator generator = new(10);
        Initialize.Apply(model, generator);
        TensorAssert.Same(before, get_rng_state());
    }
}
