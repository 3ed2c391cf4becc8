using System.Text.Json;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.FeedForward;
using Trainer.Models.Patches;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Patches;

/// <summary>Models of patches: equality with PyTorch, from the fixture of Fixtures/make_patches.py, and what holds by construction.</summary>
public class PatchModelTests
{
    private const int Classes = 3;

    private static readonly ImagePatchOptions Picture = new() { Height = 8, Width = 8, Channels = 3, Patch = 4 };

    private static readonly SeriesPatchOptions Series = new() { Length = 20, Patch = 6, Stride = 3, Horizon = 5 };

    private static readonly Dictionary<string, ModelOptions> Kinds = new()
    {
        ["vit"] = Of(Picture),
        ["mean"] = Of(Picture with { Pooling = PatchPooling.Mean }),
        ["patchtst"] = Of(Series),
        ["affine"] = Of(Series with { AffineVariables = 3 }),
        ["last"] = PatchDecoderTests.Of(Picture with { Pooling = PatchPooling.Last }),
        ["series"] = PatchDecoderTests.Of(Series with { Length = 21 }),
    };

    public static TheoryData<string> Names => [.. Kinds.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Predictions_loss_and_gradients_are_those_of_PyTorch(string kind)
    {
        using DisposeScope scope = NewDisposeScope();
        JsonElement fixture = Fixture(kind);
        using SequenceModel model = Build(kind);
        var parameters = model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        JsonElement weights = fixture.GetProperty("weights"), norms = fixture.GetProperty("norms");
        Assert.Equal(weights.EnumerateObject().Select(entry => entry.Name).Order(), parameters.Keys.Order());
        using (no_grad())
            foreach (var (name, value) in parameters) value.copy_(tensor(Numbers(weights.GetProperty(name))).view(value.shape));
        ModelInput input = Input(kind, Numbers(fixture.GetProperty("input")));
        Tensor targets = IsSeries(kind)
            ? tensor(Numbers(fixture.GetProperty("targets")), [2, Series.Horizon])
            : tensor(Numbers(fixture.GetProperty("targets"))).to(ScalarType.Int64).view(2, 1);
        Tensor made = kind == "series" ? ((PatchModel)model).Forecasts(input) : model.forward(input), loss = model.LossSum(input, targets);
        TensorAssert.Close(tensor(Numbers(fixture.GetProperty("made"))).view(made.shape), made, 2e-5);
        Assert.Equal(fixture.GetProperty("loss").GetDouble(), loss.item<float>(), 1e-3);
        loss.backward();
        foreach (var (name, value) in parameters)
            Assert.Equal(1, (value.grad!.norm().item<float>() + 1e-4) / (norms.GetProperty(name).GetDouble() + 1e-4), 1e-3);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Permuted_rows_give_permuted_predictions(string kind)
    {
        using DisposeScope scope = NewDisposeScope();
        using SequenceModel model = Build(kind);
        model.eval();
        Tensor values = randn(4, Kinds[kind].PatchInput()!.Values()), order = tensor(new long[] { 2, 0, 3, 1 });
        TensorAssert.Close(
            model.forward(Of(values, 0, 0, 0, 0)).index_select(0, order),
            model.forward(Of(values.index_select(0, order), 0, 0, 0, 0)), 1e-5);
    }

    [Fact]
    public void A_forecast_follows_shift_and_scale_of_what_is_read()
    {
        using DisposeScope scope = NewDisposeScope();
        using SequenceModel model = Build("patchtst");
        model.eval();
        Tensor values = randn(3, Series.Length).mul(4), forecast = model.forward(ModelInput.OfValues(values));
        TensorAssert.Close(forecast.mul(7).sub(11), model.forward(ModelInput.OfValues(values.mul(7).sub(11))), 1e-3);
    }

    [Fact]
    public void Without_instance_norm_it_does_not()
    {
        using DisposeScope scope = NewDisposeScope();
        using SequenceModel model = Of(Series with { InstanceNorm = false }).BuildSequenceModel(Series.Horizon);
        model.eval();
        Tensor values = randn(3, Series.Length), forecast = model.forward(ModelInput.OfValues(values));
        Assert.True(model.forward(ModelInput.OfValues(values.add(100))).sub(forecast).abs().max().item<float>() < 90);
    }

    [Fact]
    public void The_patches_of_a_picture_are_its_rows_and_columns()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor values = arange(2 * 3 * 8 * 8).to(ScalarType.Float32).view(2, -1);
        Tensor patches = PatchEmbedding.Cut(Picture, values, causal: false);
        Assert.Equal([2, 4, 48], patches.shape);
        Tensor picture = values.view(2, 3, 8, 8);
        for (int patch = 0; patch < 4; patch++)
            TensorAssert.Close(
                picture.narrow(2, patch / 2 * 4, 4).narrow(3, patch % 2 * 4, 4).reshape(2, 48), patches.select(1, patch), 0);
    }

    [Fact]
    public void The_last_patch_of_a_series_ends_with_its_last_value_repeated()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor patches = PatchEmbedding.Cut(Series, arange(1, 21).to(ScalarType.Float32).view(1, -1), causal: false);
        Assert.Equal([1, Series.Patches(), 6], patches.shape);
        Assert.Equal([1, 2, 3, 4, 5, 6], patches.select(1, 0).data<float>().ToArray());
        Assert.Equal([16, 17, 18, 19, 20, 20], patches.select(1, -1).data<float>().ToArray());
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Costs_count_the_parameters_of_the_model(string kind)
    {
        using SequenceModel model = Build(kind);
        Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(Kinds[kind], model.Outputs).Parameters);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Steps_leave_no_tensors_behind(string kind)
    {
        using SequenceModel model = Build(kind);
        void Step()
        {
            using DisposeScope scope = NewDisposeScope();
            ModelInput input = Of(randn(2, Kinds[kind].PatchInput()!.Values()), 1, 2);
            model.LossSum(input, IsSeries(kind) ? randn(2, Series.Horizon) : tensor(new long[] { 0, 2 }).view(2, 1)).backward();
            model.zero_grad();
        }

        Step();
        long before = LiveTensors.Count();
        for (int step = 0; step < 3; step++) Step();
        Assert.Equal(before, LiveTensors.Count());
    }

    public static TheoryData<EncoderOptions, string, string> Wrong => new()
    {
        { Of(Picture) with { ContextLength = 4 }, "contextLength", "4 patches and a class token; set it to 5" },
        { Of(Picture with { Patch = 3 }), "input.patch", "patch (3) must divide height (8)" },
        { Of(Picture with { Channels = 2 }), "input.channels", "must be 1 (grey) or 3" },
        { Of(Series with { Stride = 7 }), "input.stride", "leaves out values" },
        { Of(Series with { Patch = 21, Stride = 1 }), "input.patch", "must not be more than length (20)" },
        { Of(Series with { AffineVariables = 3, InstanceNorm = false }), "input.affineVariables", "instanceNorm is false" },
        { Of(Picture with { Pooling = PatchPooling.Last }), "input.pooling", "use 'class' or 'mean'" },
        { Of(Series) with { HeadTransform = true }, "headTransform", "this head forecasts values" },
        { Of(Series) with { LogitSoftCap = 30 }, "logitSoftCap", "this head forecasts values" },
        { Of(Picture) with { VocabularySize = 10 }, "vocabularySize", "has no tokens" },
        {
            Of(Picture) with { Attention = new MultiHeadOptions { Heads = 2, ValueEmbedding = true } }, "attention.valueEmbedding",
            "a table of tokens"
        },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void What_does_not_fit_is_named(EncoderOptions options, string path, string message)
    {
        var error = Assert.Throws<ConfigurationException>(() => options.BuildSequenceModel(Classes));
        Assert.Contains(error.Problems, problem => problem.Path == path && problem.Message.Contains(message));
    }

    [Fact]
    public void Attention_maps_have_a_row_for_each_patch_and_the_class_token()
    {
        using DisposeScope scope = NewDisposeScope();
        using SequenceModel model = Build("vit");
        IReadOnlyList<AttentionWeights> maps = model.AttentionMaps(ModelInput.OfValues(randn(1, Picture.Values())));
        Assert.Equal(2, maps.Count);
        Assert.All(maps, map => Assert.Equal([1, 2, 5, 5], map.Weights.shape));
    }

    private static EncoderOptions Of(PatchOptions input) => new()
    {
        Input = input,
        Dim = 8,
        Layers = 2,
        ContextLength = input.Validate().Any() ? 1 : input.Positions(),
        Bias = true,
        HeadBias = true,
        Attention = new MultiHeadOptions { Heads = 2 },
        Position = new LearnedOptions(),
        FeedForward = new GeluOptions { HiddenDim = 16 },
        Norm = new LayerNormOptions(),
    };

    private static SequenceModel Build(string kind) =>
        Kinds[kind].BuildSequenceModel(IsSeries(kind) ? Series.Horizon : Classes);

    private static bool IsSeries(string kind) => Kinds[kind].PatchInput() is SeriesPatchOptions;

    // Rows of the third and the first variable, where that matters.
    private static ModelInput Input(string kind, float[] numbers) => Of(tensor(numbers, [2, Kinds[kind].PatchInput()!.Values()]), [2, 0]);

    private static ModelInput Of(Tensor values, params long[] variables) =>
        ModelInput.OfValues(values) with { Variables = tensor(variables) };

    private static float[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(number => number.GetSingle())];

    private static JsonElement Fixture(string kind) => JsonDocument.Parse(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "patches.json"))).RootElement.GetProperty(kind);
}
