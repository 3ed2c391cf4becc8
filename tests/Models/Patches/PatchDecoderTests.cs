// Shapes: B batch, N patches, L values read, F values forecast.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.FeedForward;
using Trainer.Models.FeedForward.Experts;
using Trainer.Models.Patches;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Patches;

/// <summary>Decoders of patches: nothing looks ahead, whatever the attention; and what they learn and refuse.</summary>
public class PatchDecoderTests
{
    private const int Classes = 3;

    private static readonly SeriesPatchOptions Series = new() { Length = 27, Patch = 6, Stride = 3, Horizon = 5 };

    private static readonly ImagePatchOptions Picture =
        new() { Height = 8, Width = 8, Channels = 1, Patch = 2, Pooling = PatchPooling.Last };

    private static readonly GroupedQueryOptions Grouped = new() { Heads = 4, KeyValueHeads = 2 };

    private static readonly Dictionary<string, DecoderOptions> Variants = new()
    {
        ["learned"] = Of(Series),
        ["absolute error"] = Of(Series with { Error = ForecastError.Absolute }),
        ["without instance norm"] = Of(Series with { InstanceNorm = false }),
        ["patches side by side"] = Of(Series with { Length = 30, Patch = 6, Stride = 6 }),
        ["rotary, grouped-query"] = Modern(Grouped),
        ["rotary, reference kernel"] = Modern(Grouped with { Kernel = AttentionKernel.Reference }),
        ["alibi"] = Modern(Grouped) with { Position = new AlibiOptions() },
        ["T5 bias"] = Modern(Grouped) with { Position = new T5BiasOptions() },
        ["sliding"] = Modern(Grouped with { Pattern = new SlidingOptions { Window = 3 } }),
        ["strided"] = Modern(Grouped with { Pattern = new StridedOptions { Stride = 2 } }),
        ["linear kernel"] = Modern(Grouped with { Kernel = AttentionKernel.Linear }),
        ["latent"] = Modern(Models.Latent.Attention),
        ["differential"] = Modern(new DifferentialOptions { Heads = 2 }),
        ["Mamba-2 and attention"] = Modern(Grouped) with { Layers = 4, LayerPattern = Models.Hybrid.LayerPattern },
        ["experts"] = Modern(Grouped) with { FeedForward = new ExpertsOptions { Experts = 4, Active = 2, HiddenDim = 8 } },
    };

    public static TheoryData<string> Names => [.. Variants.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void Later_values_change_no_earlier_forecast(string variant)
    {
        using DisposeScope scope = NewDisposeScope();
        using PatchModel model = Build(Variants[variant]);
        SeriesPatchOptions series = (SeriesPatchOptions)model.Input;
        model.eval();
        Tensor values = randn(2, series.Length), before = model.Forecasts(ModelInput.OfValues(values));
        int last = series.Patches(causal: true) - 1;
        foreach (int patch in new[] { 0, 1, last - 1 })
        {
            Tensor changed = values.clone();
            changed.narrow(1, series.Patch + patch * series.Stride, series.Length - series.Patch - patch * series.Stride).mul_(-3).add_(5);
            Tensor after = model.Forecasts(ModelInput.OfValues(changed));
            TensorAssert.Close(before.narrow(1, 0, patch + 1), after.narrow(1, 0, patch + 1), 1e-5);
            Assert.True(before.select(1, -1).sub(after.select(1, -1)).abs().max().item<float>() > 1e-2);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_loss_is_the_mean_over_patches_of_the_error_of_what_follows_each(string variant)
    {
        using DisposeScope scope = NewDisposeScope();
        using PatchModel model = Build(Variants[variant]);
        SeriesPatchOptions series = (SeriesPatchOptions)model.Input;
        model.eval();
        Tensor whole = randn(2, series.Length + series.Horizon), values = whole.narrow(1, 0, series.Length);
        Tensor forecasts = model.Forecasts(ModelInput.OfValues(values));
        Tensor errors = stack([.. Enumerable.Range(0, series.Patches(causal: true)).Select(patch => Error(
            forecasts.select(1, patch).sub(whole.narrow(1, series.Patch + patch * series.Stride, series.Horizon)), series.Error))]);
        Tensor loss = model.LossSum(ModelInput.OfValues(values), whole.narrow(1, series.Length, series.Horizon));
        Assert.Equal(errors.mean().item<float>(), loss.item<float>(), 1e-3);
        TensorAssert.Close(forecasts.select(1, -1), model.forward(ModelInput.OfValues(values)), 1e-6);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Costs_count_the_parameters_and_steps_leave_no_tensors_behind(string variant)
    {
        using PatchModel model = Build(Variants[variant]);
        Assert.Equal(
            model.parameters().Sum(parameter => parameter.numel()), ModelCost.Of(Variants[variant], model.Outputs).Parameters);
        void Step()
        {
            using DisposeScope scope = NewDisposeScope();
            model.Losses(ModelInput.OfValues(randn(2, model.Input.Values())), randn(2, Series.Horizon)).Objective.backward();
            model.zero_grad();
        }

        Step();
        long before = LiveTensors.Count();
        for (int step = 0; step < 2; step++) Step();
        Assert.Equal(before, LiveTensors.Count());
    }

    [Theory]
    [InlineData(0, 7)]
    [InlineData(-11, 3)]
    [InlineData(20_000, 1)]
    public void Forecasts_follow_shift_and_scale_of_what_is_read(double shift, double scale)
    {
        using DisposeScope scope = NewDisposeScope();
        using PatchModel model = Build(Variants["learned"]);
        model.eval();
        Tensor values = randn(3, Series.Length), forecasts = model.Forecasts(ModelInput.OfValues(values));
        Tensor moved = model.Forecasts(ModelInput.OfValues(values.mul(scale).add(shift)));
        TensorAssert.Close(forecasts.mul(scale), moved.sub(shift), 1e-3 + Math.Abs(shift) * 1e-6);
    }

    [Fact]
    public void A_constant_beginning_makes_nothing_large()
    {
        using DisposeScope scope = NewDisposeScope();
        using PatchModel model = Build(Variants["learned"]);
        model.eval();
        Tensor values = cat([zeros(2, 2 * Series.Patch), randn(2, Series.Length - 2 * Series.Patch)], 1);
        using InstanceNorm norm = new(Series, causal: true);
        Tensor patches = norm.Of(ModelInput.OfValues(values)).Apply(PatchEmbedding.Cut(Series, values, causal: true));
        Assert.True(patches.abs().max().item<float>() <= Math.Sqrt(Series.Length));
        Assert.True(model.Forecasts(ModelInput.OfValues(values)).abs().max().item<float>() < 10);
    }

    [Theory]
    [InlineData("rotary, grouped-query")]
    [InlineData("sliding")]
    [InlineData("strided")]
    public void Kernels_agree_with_the_reference(string variant)
    {
        using DisposeScope scope = NewDisposeScope();
        DecoderOptions options = Variants[variant];
        using PatchModel model = Build(options), reference = Build(
            options with { Attention = options.Attention with { Kernel = AttentionKernel.Reference } });
        reference.load_state_dict(model.state_dict());
        ModelInput input = ModelInput.OfValues(randn(2, Series.Length));
        TensorAssert.Close(reference.forward(input), model.forward(input), 1e-5);
    }

    [Fact]
    public void The_class_of_a_picture_is_told_from_all_of_its_patches_and_attention_looks_back()
    {
        using DisposeScope scope = NewDisposeScope();
        using SequenceModel model = Enlarged(Of(Picture).BuildSequenceModel(Classes));
        model.eval();
        Tensor values = randn(1, Picture.Values()), changed = values.clone();
        changed.narrow(1, 0, 1).add_(3);
        Tensor told = model.forward(ModelInput.OfValues(values)), other = model.forward(ModelInput.OfValues(changed));
        Assert.True(told.sub(other).abs().max().item<float>() > 1e-4);
        AttentionWeights map = model.AttentionMaps(ModelInput.OfValues(values))[0];
        Assert.Equal("decoder", map.Stack);
        Assert.Equal([1, 2, 16, 16], map.Weights.shape);
        TensorAssert.Close(map.Weights.tril(), map.Weights, 0);
    }

    public static TheoryData<DecoderOptions, string, string> Wrong => new()
    {
        { Of(Picture with { Pooling = PatchPooling.Class }), "input.pooling", "sees none of them; set it to 'last'" },
        { Of(Picture with { Pooling = PatchPooling.Mean }), "input.pooling", "set it to 'last'" },
        { Of(Picture) with { ContextLength = 17 }, "contextLength", "16 patches; set it to 16" },
        { Of(Series with { Length = 28 }), "input.length", "use 27 or 30" },
        { Of(Series) with { ContextLength = 9 }, "contextLength", "8 patches; set it to 8" },
        { Of(Series) with { LogitSoftCap = 30 }, "logitSoftCap", "this head forecasts values" },
        { Of(Series) with { VocabularySize = 5 }, "vocabularySize", "has no tokens" },
        {
            Modern(Grouped with { Pattern = new PrefixOptions { PrefixLength = 3 } }), "attention.pattern",
            "lets a patch see the values that it forecasts"
        },
        { Modern(Grouped with { Pattern = new FullOptions() }), "attention.pattern", "type 'full'" },
        { Modern(Grouped with { ValueEmbedding = true }), "attention.valueEmbedding", "a table of tokens" },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void What_does_not_fit_is_named(DecoderOptions options, string path, string message)
    {
        var error = Assert.Throws<ConfigurationException>(() => options.BuildSequenceModel(Classes));
        Assert.Contains(error.Problems, problem => problem.Path == path && problem.Message.Contains(message));
    }

    internal static DecoderOptions Of(PatchOptions input) => new()
    {
        Input = input,
        Dim = 8,
        Layers = 2,
        ContextLength = input.Positions(causal: true),
        Bias = true,
        HeadBias = true,
        Attention = new MultiHeadOptions { Heads = 2 },
        Position = new LearnedOptions(),
        FeedForward = new GeluOptions { HiddenDim = 16 },
        Norm = new LayerNormOptions(),
    };

    private static DecoderOptions Modern(AttentionOptions attention) => new()
    {
        Input = Series,
        Dim = 16,
        Layers = 2,
        ContextLength = Series.Positions(causal: true),
        Attention = attention,
    };

    private static PatchModel Build(DecoderOptions options) => (PatchModel)Enlarged(options.BuildSequenceModel(Series.Horizon));

    // Larger weights than in the beginning, so that attention has something to tell apart.
    private static SequenceModel Enlarged(SequenceModel model)
    {
        using (no_grad())
            foreach (var parameter in model.parameters().Where(parameter => parameter.dim() >= 2)) parameter.mul_(10);
        return model;
    }

    private static Tensor Error(Tensor difference, ForecastError error) =>
        error == ForecastError.Squared ? difference.square().sum() : difference.abs().sum();
}
