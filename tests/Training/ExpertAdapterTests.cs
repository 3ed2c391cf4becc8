using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Data.Batches;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.FeedForward.Experts;
using Trainer.Tests;
using Trainer.Training.Plan;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Runs that train an adapter for each expert.</summary>
public sealed class ExpertAdapterTests : IDisposable
{
    private static readonly LoraOptions Lora = new() { Rank = 4, Targets = ["query", "experts.up", "experts.gate", "experts.down"] };

    private readonly TinyRun tiny = new(dropout: 0);

    public ExpertAdapterTests()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with
            {
                Dim = 32, FeedForward = new ExpertsOptions { Experts = 4, Active = 2, HiddenDim = 32 },
            },
            Training = tiny.Recipe.Training with { Steps = 2 },
        };
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with
        {
            Name = "adapted",
            Training = tiny.Recipe.Training with { Steps = 10 },
            Initialize = new() { From = tiny.RunPath("base") },
            Adapter = Lora,
            Optimizer = tiny.Recipe.Optimizer with { LearningRate = 3e-2 },
        };
    }

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Steps_change_every_experts_adapter_and_no_bit_of_the_bank_and_merged_it_computes_the_same(bool decomposed)
    {
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { WeightDecomposed = decomposed } };
        using TrainState training = tiny.NewState();
        Dictionary<string, Tensor> before = training.Model.named_parameters().ToDictionary(
            entry => entry.name, entry => entry.parameter.detach().clone());

        tiny.Train();
        Checkpoint checkpoint = Checkpoint.Open(tiny.RunPath());
        ModelWeights.Load(training.Model, Path.Combine(checkpoint.Directory, CheckpointFiles.Model));

        using DisposeScope scope = NewDisposeScope();
        foreach ((string name, Parameter value) in training.Model.named_parameters())
        {
            bool added = name.Contains(".adapter.");
            Assert.Equal(added, value.requires_grad);
            Tensor moved = value.detach().sub(before[name]).abs();
            if (!added) Assert.Equal(0, moved.max().item<float>());
            else if (name.Contains(".experts.")) Assert.True(moved.flatten(1).amax(1).gt(0).all().item<bool>(), name);
        }
        using LanguageModel merged = checkpoint.LoadModel(CPU);
        using IDisposable quiet = no_grad();
        training.Model.eval();
        Tensor tokens = arange(0, TinyRun.Context, dtype: ScalarType.Int64).mul(7).remainder(100).view(2, -1);
        TensorAssert.Close(training.Model.call(tokens), merged.call(tokens), 1e-5, "logits");
        foreach (Tensor value in before.Values) value.Dispose();
    }

    [Fact]
    public void A_killed_and_resumed_run_equals_one_that_was_not_bit_for_bit()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { ActivationCheckpointing = true } };
        tiny.Train("whole");
        tiny.Train("parts", until: 5);
        tiny.Train("parts", resume: true);

        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "adapter.json"])
            Assert.Equal(
                File.ReadAllBytes(Path.Combine(tiny.Store("whole").DirectoryOf(10), file)),
                File.ReadAllBytes(Path.Combine(tiny.Store("parts").DirectoryOf(10), file)));
    }

    [Theory]
    [InlineData(FrozenFormat.BFloat16)]
    [InlineData(FrozenFormat.Int8)]
    public void A_bank_that_is_kept_rounded_gives_the_gradients_of_rounded_numbers(FrozenFormat format)
    {
        using TrainState whole = tiny.NewState();
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { BaseWeights = format } };
        using TrainState kept = tiny.NewState();
        StepBatch batch = new([BatchStream.Create(tiny.Data, tiny.Recipe.Data, TinyRun.Context, 1).Next(4)]);
        using DisposeScope scope = NewDisposeScope();
        Dictionary<string, Parameter> rounded = kept.Model.named_parameters().ToDictionary(entry => entry.name, entry => entry.parameter);
        using (no_grad())
            foreach ((string name, Parameter value) in whole.Model.named_parameters())
                if (rounded[name].dtype != ScalarType.Float32)
                    value.copy_(FrozenLinear.Unpacked(rounded[name], ScalarType.Float32));

        StepLoss expected = GradientComputation.Create(whole.Model, CPU, null).Compute(batch);
        StepLoss actual = GradientComputation.Create(kept.Model, CPU, null).Compute(batch);

        Assert.NotEqual(ScalarType.Float32, rounded["blocks.0.feedForward.experts.gateUp"].dtype);
        Assert.NotEqual(ScalarType.Float32, rounded["blocks.1.feedForward.experts.down"].dtype);
        Assert.Equal(expected.Loss.ToDouble(), actual.Loss.ToDouble(), 1e-5);
        foreach ((string name, Parameter value) in whole.Model.named_parameters())
            if (value.requires_grad) TensorAssert.Close(value.grad!, rounded[name].grad!, 1e-5, name);
        RunPlan plan = RunPlan.Of(tiny.Recipe, Path.Combine(tiny.Root, "datasets"));
        long numbers = whole.Model.named_parameters().Where(entry => rounded[entry.name].dtype != ScalarType.Float32)
            .Sum(entry => entry.parameter.numel());
        tiny.Recipe = tiny.Recipe with { Adapter = Lora };
        Assert.Equal(
            RunPlan.Of(tiny.Recipe, Path.Combine(tiny.Root, "datasets")).StateBytes - 4 * numbers
                + (format == FrozenFormat.Int8 ? numbers / 32 * 34 : 2 * numbers),
            plan.StateBytes);
    }

    [Fact]
    public void A_plan_counts_what_is_trained_and_what_a_token_meets()
    {
        RunPlan plan = RunPlan.Of(tiny.Recipe, Path.Combine(tiny.Root, "datasets"));
        using TrainState training = tiny.NewState();

        Assert.Equal(training.Model.parameters().Where(weight => weight.requires_grad).Sum(weight => weight.numel()), plan.TrainedParameters);
        long experts = training.Model.named_parameters().Where(entry => entry.name.Contains(".experts.adapter."))
            .Sum(entry => entry.parameter.numel());
        RunPlan without = RunPlan.Of(
            tiny.Recipe with { Adapter = Lora with { Targets = ["query"] } }, Path.Combine(tiny.Root, "datasets"));
        Assert.Equal(experts / 2, plan.ActiveParameters - without.ActiveParameters);
        Assert.Equal(experts, plan.Parameters - without.Parameters);
    }
}
