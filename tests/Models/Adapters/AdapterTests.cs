using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models.Adapters;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Adapters;

/// <summary>Adapters beside layers against their weights merged, in every kind of layer.</summary>
public sealed class AdapterTests
{
    private static readonly LoraOptions Everywhere = new() { Rank = 2, Targets = ["*"] };

    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["hybrid"] = Models.Hybrid with { Bias = true },
        ["encoder"] = Models.Encoder with { Bias = true },
        ["encoder-decoder"] = Models.EncoderDecoder,
        ["experts"] = Models.Llama with { FeedForward = Models.FeedForwards["experts"], Bias = true },
        ["experts-shared"] = Models.Llama with { FeedForward = Models.FeedForwards["experts-shared"] },
    };

    public static TheoryData<string, bool> Names()
    {
        TheoryData<string, bool> names = [];
        foreach (string name in Models.Projections.Keys.Concat(Kinds.Keys))
            foreach (bool decomposed in (bool[])[false, true]) names.Add(name, decomposed);
        return names;
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void An_adapted_model_computes_what_merged_weights_do(string name, bool decomposed)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        ModelOptions options = Options(name);
        using LanguageModel adapted = Adapted(options, Everywhere with { WeightDecomposed = decomposed });
        using LanguageModel merged = Merged(options, adapted);
        ModelInput input = Input(options);

        TensorAssert.Close(merged.call(input), adapted.call(input), 2e-5, name);
        if (!adapted.Generates || options is EncoderDecoderOptions) return;
        using DecodingState state = adapted.NewDecodingState(2, 8);
        Tensor[] steps = [.. Enumerable.Range(0, 8).Select(step => adapted.forward(input.Tokens.narrow(1, step, 1), state))];
        TensorAssert.Close(merged.call(input), cat(steps, 1), 4e-5, $"{name}, decoded");
    }

    [Theory]
    [InlineData("grouped-query")]
    [InlineData("latent")]
    [InlineData("hybrid")]
    [InlineData("encoder-decoder")]
    [InlineData("experts")]
    [InlineData("experts-shared")]
    public void Its_gradients_are_those_of_the_merged_weight(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        ModelOptions options = Options(name);
        using LanguageModel adapted = Adapted(options, Everywhere), merged = Merged(options, adapted);
        ModelInput input = Input(options);
        Tensor targets = input.Tokens.roll(1, 1);
        adapted.LossSum(input, targets).backward();
        merged.LossSum(input, targets).backward();

        Dictionary<string, Parameter> whole = merged.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        Dictionary<string, Parameter> parts = adapted.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        foreach (AdapterTarget target in AdapterTargets.Of(adapted))
        {
            Tensor gradient = whole[target.Weight].grad!.narrow(-2, target.First, target.Rows);
            (Parameter a, Parameter b) = (parts[$"{target.Update}.loraA"], parts[$"{target.Update}.loraB"]);
            TensorAssert.Close(b.detach().mT.matmul(gradient).mul(Everywhere.Scale), a.grad!, 1e-4, $"{target.Name}.loraA");
            TensorAssert.Close(gradient.matmul(a.detach().mT).mul(Everywhere.Scale), b.grad!, 1e-4, $"{target.Name}.loraB");
        }
        foreach ((string parameter, Parameter value) in parts) Assert.Equal(parameter.Contains(".adapter."), value.grad is not null);
    }

    [Fact]
    public void Targets_are_the_matrices_of_fused_layers()
    {
        using LanguageModel model = Models.Llama.Build(Models.Vocabulary);
        Assert.Equal(
            [
                "mixer.output 0 16", "mixer.projection.query 0 16", "mixer.projection.key 16 8", "mixer.projection.value 24 8",
                "feedForward.gate 0 64", "feedForward.up 64 64", "feedForward.down 0 16",
            ],
            AdapterTargets.Of(model).Where(target => target.Name.StartsWith("blocks.1."))
                .Select(target => $"{target.Name["blocks.1.".Length..]} {target.First} {target.Rows}"));
        Assert.Equal(8, AdapterTargets.Chosen(model, new LoraOptions()).Count); // attention, by default
        Assert.Equal(3, AdapterTargets.Chosen(model, new LoraOptions { Targets = ["blocks.0.*.qkv"] }).Count);
        Assert.Equal(2, AdapterTargets.Chosen(model, new LoraOptions { Targets = ["projection.value"] }).Count);
    }

    [Fact]
    public void Dropped_inputs_follow_from_the_key_of_the_pass()
    {
        using DisposeScope scope = NewDisposeScope();
        using LanguageModel model = Adapted(Models.Llama, Everywhere with { Dropout = 0.5 });
        Tensor tokens = Input(Models.Llama).Tokens;
        Tensor Run(long seed) => model.forward(new ModelInput(tokens) { Dropping = new DropoutKey(seed) });
        model.train();

        TensorAssert.Same(Run(1), Run(1), "logits");
        Assert.True(Run(1).sub(Run(2)).abs().max().item<float>() > 1e-4);
        model.eval();
        TensorAssert.Same(Run(1), Run(2), "logits");
    }

    [Fact]
    public void Each_expert_has_an_adapter_of_its_own_and_the_router_and_dropout_have_no_part_in_them()
    {
        ModelOptions options = Models.Llama with { FeedForward = Models.FeedForwards["experts-shared"] };
        using LanguageModel model = options.Build(Models.Vocabulary);
        Assert.Contains("\"experts\" is blocks.0.feedForward.experts, which is no linear layer of a block", Assert.Throws<Configuration
            .ConfigurationException>(() => model.Attach(Everywhere with { Targets = ["query", "experts"] })).Message);
        Assert.Contains(
            "adapters of experts (blocks.0.feedForward.experts.gate) have no dropout; set it to 0, or leave experts out of targets",
            Assert.Throws<Configuration.ConfigurationException>(
                () => model.Attach(Everywhere with { Targets = ["experts.gate"], Dropout = 0.1 })).Message);
        Assert.All(model.parameters(), parameter => Assert.True(parameter.requires_grad));
        model.Attach(Everywhere with { Targets = ["experts.gate", "experts.down"] });
        Assert.Throws<InvalidOperationException>(() => model.Attach(Everywhere));

        Assert.Equal(
            [
                "experts.adapter.gate.loraA 6 2 16", "experts.adapter.gate.loraB 6 10 2", "experts.adapter.down.loraA 6 2 10",
                "experts.adapter.down.loraB 6 16 2",
            ],
            model.named_parameters().Where(entry => entry.parameter.requires_grad && entry.name.StartsWith("blocks.1."))
                .Select(entry => $"{entry.name["blocks.1.feedForward.".Length..]} {string.Join(' ', entry.parameter.shape)}"));
        AdapterCost cost = AdapterCost.Of(options, Models.Vocabulary, Everywhere with { Targets = ["experts.gate", "experts.down"] });
        Assert.Equal(2 * 6 * (2 * (16 + 10) + 2 * (10 + 16)), cost.Added);
        Assert.Equal(cost.Added * 2 / 6, cost.Active); // of six experts a token has two
    }

    private static ModelOptions Options(string name) =>
        Kinds.GetValueOrDefault(name) ?? Models.Llama with { Attention = Models.Projections[name], Dim = 32 };

    private static ModelInput Input(ModelOptions options)
    {
        manual_seed(3);
        Tensor tokens = randint(0, Models.Vocabulary, [2, 8], ScalarType.Int64);
        return options is EncoderDecoderOptions ? new(tokens) { Source = tokens.flip(1) } : new(tokens);
    }

    private static LanguageModel Adapted(ModelOptions options, LoraOptions adapter)
    {
        manual_seed(1);
        LanguageModel model = options.Build(Models.Vocabulary);
        using IDisposable quiet = no_grad();
        foreach (Parameter matrix in model.parameters().Where(parameter => parameter.dim() >= 2)) matrix.mul_(8);
        model.Attach(adapter);
        foreach ((string name, Parameter value) in model.named_parameters())
            if (name.EndsWith("loraB")) value.normal_(0, 0.1);
            else if (name.EndsWith("magnitude")) value.mul_(1.25);
        return model;
    }

    private static LanguageModel Merged(ModelOptions options, LanguageModel adapted)
    {
        LanguageModel model = options.Build(Models.Vocabulary);
        using IDisposable quiet = no_grad();
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Tensor> weights = adapted.state_dict();
        foreach ((string name, Tensor value) in model.state_dict()) value.copy_(weights[name]);
        Dictionary<string, IAdaptable> layers = AdapterTargets.Of(adapted).DistinctBy(target => target.Layer)
            .ToDictionary(target => target.Layer, target => target.Place);
        foreach (AdapterTarget target in AdapterTargets.Of(model).DistinctBy(target => target.Layer))
            target.Place.Weight.copy_(layers[target.Layer].EffectiveWeight);
        return model;
    }
}
