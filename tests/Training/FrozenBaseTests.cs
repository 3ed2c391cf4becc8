using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Attention;
using Trainer.Models.Devices;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;
using Trainer.Tests;
using Trainer.Training.Plan;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Adapters on a base whose matrices stay in bfloat16 or blocks of 8 bits.</summary>
public sealed class FrozenBaseTests : IDisposable
{
    private static readonly LoraOptions Lora = new() { Rank = 4, Targets = ["query", "value", "down"] };

    private readonly TinyRun tiny = new(dropout: 0);

    public FrozenBaseTests()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with
            {
                Dim = 32,
                Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 },
                Position = new RotaryOptions(),
                FeedForward = new SwiGluOptions { HiddenDim = 64 },
            },
            Training = tiny.Recipe.Training with { Steps = 2 },
            Monitoring = tiny.Recipe.Monitoring with { Samples = ["the "] },
        };
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with
        {
            Training = tiny.Recipe.Training with { Steps = 6 },
            Initialize = new() { From = tiny.RunPath("base") },
            Adapter = Lora,
        };
    }

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(FrozenFormat.BFloat16, Precision.Float32)]
    [InlineData(FrozenFormat.BFloat16, Precision.BFloat16)]
    [InlineData(FrozenFormat.Int8, Precision.Float32)]
    [InlineData(FrozenFormat.Int8, Precision.BFloat16)]
    public void Gradients_of_adapters_are_those_on_a_base_that_was_rounded(FrozenFormat format, Precision precision)
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Precision = precision } };
        using TrainState whole = tiny.NewState();
        Round(Model(whole), format); // float32 matrices with the rounded numbers
        Use(format);
        using TrainState kept = tiny.NewState();
        StepBatch batch = new([BatchStream.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, 1).Next(4)]);
        using DisposeScope scope = NewDisposeScope();

        StepLoss expected = GradientComputation.Create(whole.Model, CPU, null).Compute(batch);
        StepLoss actual = GradientComputation.Create(kept.Model, CPU, null).Compute(batch);

        double tolerance = precision == Precision.Float32 ? 1e-5 : 5e-3; // fused layers round what they write
        Assert.Equal(expected.Loss.ToDouble(), actual.Loss.ToDouble(), tolerance);
        TensorAssert.Equal(Gradient(Model(whole)), Gradient(Model(kept)), tolerance);
        Assert.Contains(Gradient(Model(kept)), value => Math.Abs(value) > 1e-3);
    }

    [Theory]
    [InlineData(FrozenFormat.BFloat16, ScalarType.BFloat16)]
    [InlineData(FrozenFormat.Int8, ScalarType.Int8)]
    public void Only_matrices_of_blocks_are_rounded_and_no_bit_of_them_changes(FrozenFormat format, ScalarType type)
    {
        Use(format);
        tiny.Recipe = tiny.Recipe with { Adapter = tiny.Recipe.Adapter! with { Train = ["norm"] } };
        using TrainState state = tiny.NewState();
        Dictionary<string, long> before = Sums(Model(state));

        for (int step = 0; step < 3; step++) state.TakeStep(1e-2);

        Dictionary<string, long> after = Sums(Model(state));
        foreach (var (name, parameter) in state.Model.named_parameters())
        {
            bool isMatrix = name.StartsWith("blocks.", StringComparison.Ordinal) && name.EndsWith(".weight", StringComparison.Ordinal)
                && parameter.dim() == 2 && !name.Contains("lora", StringComparison.Ordinal);
            Assert.Equal(isMatrix ? type : ScalarType.Float32, parameter.dtype);
            if (isMatrix) Assert.Equal(before[name], after[name]);
        }
        Assert.NotEqual(before.Values, after.Values);
    }

    [Theory]
    [InlineData(FrozenFormat.BFloat16)]
    [InlineData(FrozenFormat.Int8)]
    public void A_run_learns_writes_samples_and_its_checkpoint_is_merged_into_the_whole_base(FrozenFormat format)
    {
        Use(format);
        Assert.Equal(6, tiny.Train("run").Step);
        using LanguageModel merged = Checkpoints.Checkpoint.Open(tiny.RunPath("run")).LoadModel(CPU);
        Assert.All(merged.parameters(), parameter => Assert.Equal(ScalarType.Float32, parameter.dtype));
    }

    [Fact]
    public void A_plan_counts_the_bytes_of_rounded_matrices()
    {
        long Weights(FrozenFormat format)
        {
            Use(format);
            return RunPlan.Of(tiny.Recipe, Path.Combine(tiny.Root, "datasets")).StateBytes;
        }
        using TrainState state = tiny.NewState();
        long matrices = state.Model.named_parameters().Where(entry => entry.name.StartsWith("blocks.", StringComparison.Ordinal)
            && entry.parameter.dim() == 2 && !entry.parameter.requires_grad).Sum(entry => entry.parameter.numel());
        long whole = Weights(FrozenFormat.Float32);

        Assert.Equal(whole - 2 * matrices, Weights(FrozenFormat.BFloat16));
        Assert.Equal(whole - 4 * matrices + matrices / 32 * 34, Weights(FrozenFormat.Int8));
    }

    [Fact]
    public void Blocks_of_8_bits_have_no_histograms_and_count_as_the_numbers_that_they_hold()
    {
        tiny.Recipe = tiny.Recipe with { Monitoring = tiny.Recipe.Monitoring with { HistogramEvery = 6 } };
        RecordingSink whole = new(), rounded = new();
        tiny.Train("whole", sink: whole);
        Use(FrozenFormat.Int8);
        tiny.Train("rounded", sink: rounded);
        using TrainState state = tiny.NewState();
        string[] blocks = [.. state.Model.named_parameters().Where(entry => entry.parameter.dtype == ScalarType.Int8)
            .Select(entry => $"weights/{entry.name}")];

        Assert.NotEmpty(blocks);
        Assert.Equal(whole.Histograms.Except(blocks).Order(), rounded.Histograms.Order());
        Assert.Equal(Counted(whole), Counted(rounded));

        static string Counted(RecordingSink sink) =>
            sink.Messages.Single(line => line.StartsWith("model: ", StringComparison.Ordinal)).Split(" parameters")[0];
    }

    [Fact]
    public void The_number_of_live_tensors_does_not_grow()
    {
        Use(FrozenFormat.Int8);
        tiny.RequireNoLeak();
    }

    [Fact]
    public void Lengths_of_rows_need_the_whole_base()
    {
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { WeightDecomposed = true, BaseWeights = FrozenFormat.Int8 } };
        Assert.Contains("adapter.baseWeights: is int8, and weightDecomposed takes the lengths of the base's rows", tiny.ConfigurationError(),
            StringComparison.Ordinal);
    }

    private static LanguageModel Model(TrainState state) => (LanguageModel)state.Model;

    private void Use(FrozenFormat format) => tiny.Recipe = tiny.Recipe with { Adapter = Lora with { BaseWeights = format } };

    private static void Round(LanguageModel model, FrozenFormat format)
    {
        using IDisposable unrecorded = no_grad();
        using DisposeScope scope = NewDisposeScope();
        foreach (var (name, parameter) in model.named_parameters())
            if (name.StartsWith("blocks.", StringComparison.Ordinal) && parameter.dim() == 2 && !parameter.requires_grad)
                parameter.copy_(format == FrozenFormat.BFloat16
                    ? parameter.to(ScalarType.BFloat16).to(ScalarType.Float32)
                    : BlockQuantization.Unpack(BlockQuantization.Pack(parameter)));
    }

    private static float[] Gradient(LanguageModel model)
    {
        using DisposeScope scope = NewDisposeScope();
        return [.. model.parameters().Where(p => p.requires_grad).SelectMany(p => p.grad!.data<float>().ToArray())];
    }

    private static Dictionary<string, long> Sums(LanguageModel model)
    {
        using DisposeScope scope = NewDisposeScope();
        return model.named_parameters().ToDictionary(entry => entry.name, entry =>
        {
            HashCode hash = new();
            hash.AddBytes(entry.parameter.detach().contiguous().bytes);
            return (long)hash.ToHashCode();
        });
    }
}
