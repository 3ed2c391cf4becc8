using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Models.Adapters;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Adapters;

/// <summary>Rows of one batch with adapters of their own, against models that have one adapter each.</summary>
public sealed class RowAdaptersTests
{
    private static readonly Dictionary<string, LoraOptions> Adapters = new()
    {
        ["everywhere"] = new() { Rank = 2, Targets = ["*"] },
        ["decomposed"] = new() { Rank = 3, Targets = ["*"], WeightDecomposed = true, Dropout = 0.5 },
        ["in the last layer"] = new() { Rank = 1, Alpha = 5, RankStabilized = true, Targets = ["blocks.1.*"] },
    };

    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["hybrid"] = Models.Hybrid with { Bias = true },
        ["shared experts"] = Models.Llama with { FeedForward = Models.FeedForwards["experts"] },
        ["encoder"] = Models.Encoder with { Bias = true },
        ["encoder-decoder"] = Models.EncoderDecoder,
    };

    public static TheoryData<string> Names => [.. Models.Projections.Keys, .. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Each_row_is_what_it_is_in_a_model_with_its_adapter_alone(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        using LanguageModel model = Build(name);
        Add(model, name);
        string?[] rows = ["decomposed", null, "everywhere", "decomposed", "in the last layer", null];
        if (model.Options is EncoderDecoderOptions) rows = [.. rows.Select(row => row == "in the last layer" ? null : row)];
        ModelInput input = Input(model.Options, rows.Length);
        using AdapterRows adapters = AdapterRows.Of(model, rows)!;
        Tensor mixed = model.call(input with { Adapters = adapters }), own = model.call(input);

        for (int row = 0; row < rows.Length; row++)
        {
            Tensor actual = mixed.select(0, row);
            if (rows[row] is not { } adapter)
            {
                TensorAssert.Same(own.select(0, row), actual, $"row {row}");
                continue;
            }
            using LanguageModel alone = Adapted(name, adapter);
            Tensor expected = alone.call(input).select(0, row);
            TensorAssert.Close(expected, actual, 1e-5, $"row {row}, {adapter}");
            Assert.True(expected.sub(own.select(0, row)).abs().max().item<float>() > 1e-2, $"{adapter} changes nothing");
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Sequences_of_a_batch_are_decoded_with_their_own(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        using LanguageModel model = Build(name);
        if (!model.Generates) return;
        Add(model, name);
        List<string?> rows = ["everywhere", null, "decomposed", "everywhere"];
        ModelInput input = Input(model.Options, rows.Count);
        ModelInput? Source(int row) => input.Source is { } source ? new(source.Tokens.narrow(0, row, 1)) : null;
        using DecodingState batch = DecodingState.NewBatch(8, CPU);
        for (int row = 0; row < rows.Count; row++)
        {
            using DecodingState one = model.NewDecodingState(1, 8, Source(row), rows[row]);
            model.forward(input.Tokens.narrow(0, row, 1).narrow(1, 0, 2 + row), one);
            batch.Append(one);
        }
        Tensor next = model.NextLogits(input.Tokens.narrow(1, 7, 1), batch); // (B, V)
        int[] kept = [3, 0, 2];
        batch.Reorder(kept);
        Tensor after = model.NextLogits(input.Tokens.narrow(1, 6, 1).index_select(0, tensor((long[])[3, 0, 2])), batch);

        for (int row = 0; row < rows.Count; row++)
        {
            using LanguageModel alone = rows[row] is { } adapter ? Adapted(name, adapter) : Build(name);
            using DecodingState state = alone.NewDecodingState(1, 8, Source(row));
            Tensor tokens = input.Tokens.narrow(0, row, 1);
            alone.forward(tokens.narrow(1, 0, 2 + row), state);
            TensorAssert.Close(alone.NextLogits(tokens.narrow(1, 7, 1), state)[0], next[row], 2e-5, $"row {row}");
            if (Array.IndexOf(kept, row) is >= 0 and var place)
                TensorAssert.Close(alone.NextLogits(tokens.narrow(1, 6, 1), state)[0], after[place], 2e-5, $"row {row}, once more");
        }
    }

    [Theory]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Int8)]
    public void The_base_may_be_of_fewer_bits(ScalarType type)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        using LanguageModel whole = Build("wide");
        using LanguageModel model = Options("wide").BuildForInference(Models.Vocabulary, type);
        Dictionary<string, Tensor> weights = whole.state_dict();
        foreach ((string name, Tensor value) in model.state_dict())
            value.copy_(value.dtype == ScalarType.Int8 ? Kernels.ComputeWeight.Round(weights[name], type) : weights[name]);
        Add(model, "wide");
        string?[] rows = ["decomposed", null, "everywhere"];
        ModelInput input = Input(model.Options, rows.Length);
        using AdapterRows adapters = AdapterRows.Of(model, rows)!;
        Tensor mixed = model.call(input with { Adapters = adapters });
        for (int row = 0; row < rows.Length; row++)
        {
            using LanguageModel alone = rows[row] is { } adapter ? Adapted("wide", adapter) : Build("wide");
            Tensor expected = alone.call(input).select(0, row);
            TensorAssert.Close(expected, mixed.select(0, row), 0.03 * expected.abs().max().item<float>(), $"row {row}");
        }
    }

    [Fact]
    public void A_batch_without_adapters_needs_nothing_and_an_unknown_name_is_an_error()
    {
        using LanguageModel model = Build("multi-head");
        Assert.Null(AdapterRows.Of(model, [null, null]));
        Assert.Equal("the model has no adapter 'x'; it has none",
            Assert.Throws<UserException>(() => AdapterRows.Of(model, ["x"])).Message);
        Add(model, "multi-head");
        Assert.Equal("the model has no adapter 'x'; it has everywhere, decomposed, in the last layer",
            Assert.Throws<UserException>(() => model.NewDecodingState(1, 8, adapter: "x")).Message);
        using AdapterRows one = AdapterRows.Of(model, ["everywhere"])!;
        Assert.Throws<ArgumentException>(() => model.call(Input(model.Options, 2) with { Adapters = one }));
    }

    [Fact]
    public void They_are_beside_the_weights_and_freed_with_the_model()
    {
        LanguageModel model = Build("multi-head");
        nint[] before = [.. model.parameters().Select(parameter => parameter.Handle)];
        List<Parameter> added = Add(model, "multi-head");
        Assert.Equal(before, model.parameters().Select(parameter => parameter.Handle));
        Assert.Equal(2 * (2 * 7 + 2 * 7 + 7), added.Count); // A and B of 7 matrices in 2, 2 and 1 layers
        model.Dispose();
        Assert.All(added, parameter => Assert.True(parameter.IsInvalid));
    }

    private static ModelOptions Options(string name) => name == "wide"
        ? Models.Llama with { Dim = 64 }
        : Kinds.GetValueOrDefault(name) ?? Models.Llama with { Attention = Models.Projections[name], Dim = 32 };

    // Rows cannot choose adapters of experts.
    private static LoraOptions Of(string name, string adapter) => Kinds.GetValueOrDefault(name)?.FeedForward is ExpertsOptions
        ? Adapters[adapter] with { Targets = [adapter == "in the last layer" ? "blocks.1.mixer.*" : "*.mixer.*"] }
        : Adapters[adapter];

    private static ModelInput Input(ModelOptions options, int rows)
    {
        manual_seed(3);
        Tensor tokens = randint(0, Models.Vocabulary, [rows, 8], ScalarType.Int64);
        return options is EncoderDecoderOptions ? new(tokens) { Source = tokens.flip(1) } : new(tokens);
    }

    private static LanguageModel Build(string name)
    {
        manual_seed(1);
        LanguageModel model = Options(name).Build(Models.Vocabulary);
        using IDisposable quiet = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (Parameter matrix in model.parameters().Where(parameter => parameter.dim() == 2)) matrix.mul_(4);
        model.eval();
        return model;
    }

    // With the adapter in the way of training.
    private static LanguageModel Adapted(string name, string adapter)
    {
        LanguageModel model = Build(name);
        model.Attach(Of(name, adapter));
        using IDisposable quiet = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach ((string parameter, Parameter value) in model.named_parameters())
            if (parameter.EndsWith("loraB")) value.normal_(0, 0.1);
            else if (parameter.EndsWith("magnitude")) value.mul_(1.25);
        model.eval();
        return model;
    }

    // Returns their numbers.
    private static List<Parameter> Add(LanguageModel model, string name)
    {
        using IDisposable quiet = no_grad();
        List<Parameter> added = [];
        foreach (string adapter in Adapters.Keys)
        {
            LoraOptions options = Of(name, adapter);
            if (adapter == "in the last layer" && model.Options is EncoderDecoderOptions) continue; // has two stacks of blocks
            using LanguageModel trained = Adapted(name, adapter);
            using DisposeScope scope = NewDisposeScope();
            Dictionary<string, Parameter> numbers = trained.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
            model.AddAdapter(adapter, [.. AdapterTargets.Chosen(model, options).Select(target => (target, Update(target)))]);

            LowRankUpdate Update(AdapterTarget target)
            {
                (Tensor a, Tensor b) = (numbers[$"{target.Update}.loraA"], numbers[$"{target.Update}.loraB"]);
                Tensor weight = numbers[$"{target.Layer}.weight"].narrow(0, target.First, target.Rows);
                Tensor? factor = options.WeightDecomposed
                    ? LowRankUpdate.Factor(weight, a, b, numbers[$"{target.Update}.magnitude"], options)
                    : null;
                LowRankUpdate update = new(target, options, a.detach().clone(), b.detach().clone(), factor);
                added.AddRange(update.parameters());
                return update;
            }
        }
        return added;
    }
}
