using TorchSharp;
using TorchSharp.Modules;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Adapters;
using Trainer.Models.Attention;
using Trainer.Models.Devices;
using Trainer.Models.FeedForward;
using Trainer.Models.Positions;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using Trainer.Training.Plan;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Runs that train adapters on a base of a few steps.</summary>
public sealed class AdapterTests : IDisposable
{
    private static readonly LoraOptions Lora = new() { Rank = 4, Targets = ["query", "value", "output", "gate", "down"], Dropout = 0.2 };

    private readonly TinyRun tiny = new();

    public AdapterTests()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with
            {
                Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 },
                Position = new RotaryOptions(),
                FeedForward = new SwiGluOptions { HiddenDim = 24 },
                Bias = true,
                TieEmbeddings = false,
            },
            Training = tiny.Recipe.Training with { Steps = 2 },
            Monitoring = tiny.Recipe.Monitoring with { Samples = ["the "] },
        };
        tiny.Train("base");
        tiny.Recipe = tiny.Recipe with
        {
            Name = "adapted",
            Training = tiny.Recipe.Training with { Steps = 10 },
            Initialize = new() { From = tiny.RunPath("base") },
            Adapter = Lora,
        };
    }

    public void Dispose() => tiny.Dispose();

    [Theory]
    [InlineData(false, Precision.Float32)]
    [InlineData(true, Precision.Float32)]
    [InlineData(false, Precision.BFloat16)]
    public void Before_the_first_step_it_computes_what_its_base_does(bool decomposed, Precision precision)
    {
        tiny.Recipe = tiny.Recipe with
        {
            Adapter = Lora with { WeightDecomposed = decomposed, Targets = ["*.projection.*", "output"] },
            Training = tiny.Recipe.Training with { Precision = precision },
        };
        using DisposeScope scope = NewDisposeScope();
        using TrainState adapted = tiny.NewState();
        tiny.Recipe = tiny.Recipe with { Adapter = null };
        using TrainState original = tiny.NewState();

        Tensor expected = Logits(original.Model), logits = Logits(adapted.Model);

        if (decomposed) TensorAssert.Close(expected, logits, 1e-5, "logits");
        else TensorAssert.Same(expected, logits, "logits");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Ten_steps_change_what_is_trained_and_no_bit_of_the_rest(bool decomposed)
    {
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { WeightDecomposed = decomposed, Train = ["embedding", "norm"] } };
        using TrainState training = tiny.NewState();
        Dictionary<string, float[]> before = Weights(training.Model);

        for (int step = 0; step < 10; step++) training.TakeStep(1e-2);

        foreach ((string name, Parameter value) in training.Model.named_parameters())
        {
            bool trained = name.Contains(".adapter.") || name is "embedding.weight" or "norm.weight" or "norm.bias";
            Assert.Equal(trained, value.requires_grad);
            using Tensor? gradient = value.grad;
            Assert.Equal(trained, gradient is not null);
            if (trained) Assert.NotEqual(before[name], Numbers(value));
            else Assert.Equal(before[name], Numbers(value));
        }
    }

    [Fact]
    public void The_optimizer_has_moments_of_trained_weights_alone()
    {
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { Targets = ["query"] } };
        using TrainState training = tiny.NewState();
        training.TakeStep(1e-3);

        // Two layers, A (4, 16) and B (16, 4), two moments each.
        Assert.Equal(2 * 2 * (64 + 64), training.Optimizer.State.Where(state => state.Value.numel() > 1).Sum(state => state.Value.numel()));
    }

    [Fact]
    public void A_plan_counts_what_is_trained()
    {
        Recipe whole = tiny.Recipe with { Adapter = null };
        RunPlan full = RunPlan.Of(whole, Path.Combine(tiny.Root, "datasets"));
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { WeightDecomposed = true, Train = ["norm"] } };
        RunPlan plan = RunPlan.Of(tiny.Recipe, Path.Combine(tiny.Root, "datasets"));
        using TrainState training = tiny.NewState();
        long all = training.Model.parameters().Sum(p => p.numel());
        long trained = training.Model.parameters().Where(p => p.requires_grad).Sum(p => p.numel());

        Assert.Equal((all, trained), (plan.Parameters, plan.TrainedParameters));
        Assert.Equal(plan.Parameters, plan.Components.Sum(part => part.Parameters));
        // Two threads, or one, have gradients of their own, which add up over micro-batches; two moments.
        long copies = (full.StateBytes / 4 - 3 * full.Parameters) / full.Parameters;
        Assert.Equal(4 * (all + (2 + copies) * trained), plan.StateBytes);
        Assert.Equal(4 * 3 * trained, plan.CheckpointCopyBytes);
        Assert.InRange(plan.TrainingFlopsPerToken, 0.6 * full.TrainingFlopsPerToken, full.TrainingFlopsPerToken);
    }

    [Theory]
    [InlineData(false, false, FrozenFormat.Float32)]
    [InlineData(true, true, FrozenFormat.Float32)]
    [InlineData(false, false, FrozenFormat.BFloat16)]
    public void A_killed_and_resumed_run_equals_one_that_was_not_bit_for_bit(bool decomposed, bool checkpointing, FrozenFormat format)
    {
        tiny.Recipe = tiny.Recipe with
        {
            Adapter = Lora with { WeightDecomposed = decomposed, Train = ["embedding"], BaseWeights = format },
            Training = tiny.Recipe.Training with { ActivationCheckpointing = checkpointing },
        };
        tiny.Train("whole");
        tiny.Train("parts", until: 5);
        tiny.Train("parts", resume: true);

        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json", "adapter.json"])
            Assert.Equal(File.ReadAllBytes(In("whole", file)), File.ReadAllBytes(In("parts", file)));
    }

    [Fact]
    public void Checkpointed_blocks_and_threads_give_the_same_gradients()
    {
        float[][] gradients = [.. new[] { false, true }.Select(checkpointing =>
        {
            tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { ActivationCheckpointing = checkpointing } };
            using TrainState training = tiny.NewState();
            for (int step = 0; step < 2; step++) training.TakeStep(1e-2);
            return Weights(training.Model).SelectMany(weight => weight.Value).ToArray();
        })];
        Assert.Equal(gradients[0], gradients[1]);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public void A_checkpoint_holds_the_adapter_alone_and_loads_merged(bool decomposed, bool stabilized)
    {
        tiny.Recipe = tiny.Recipe with
        {
            Adapter = Lora with { WeightDecomposed = decomposed, RankStabilized = stabilized, Train = ["norm"] },
            Optimizer = tiny.Recipe.Optimizer with { LearningRate = 3e-2 },
        };
        using TrainState training = tiny.NewState();
        string directory = tiny.Store().DirectoryOf(5);
        tiny.Train();
        using DisposeScope scope = NewDisposeScope();
        Checkpoint checkpoint = Checkpoint.Open(directory);
        using LanguageModel merged = checkpoint.LoadModel(CPU), original = Checkpoint.Open(tiny.RunPath("base")).LoadModel(CPU);
        using (SafetensorsFile file = SafetensorsFile.Open(Path.Combine(directory, CheckpointFiles.Model)))
            Assert.All(file.Names, name => Assert.True(name.Contains(".adapter.") || name is "norm.weight" or "norm.bias", name));
        ModelWeights.Load(training.Model, Path.Combine(directory, CheckpointFiles.Model));

        Tensor unmerged = Logits(training.Model), logits = Logits(merged);

        TensorAssert.Close(unmerged, logits, 1e-5, "logits");
        Assert.True(logits.sub(Logits(original)).abs().max().item<float>() > 1e-2, "training changed nothing");
        Assert.Equal(ConfigurationJson.Serialize(tiny.Recipe.Adapter!), ConfigurationJson.Serialize(checkpoint.Configuration.Adapter!));
    }

    [Fact]
    public void An_adapter_is_not_put_on_other_weights()
    {
        tiny.Train();
        string directory = tiny.Store().DirectoryOf(5), hash = Checkpoint.Open(directory).Base!.Sha256;
        string kept = Checkpoint.Open(tiny.RunPath("base")).Directory;
        string hidden = kept + "-hidden";
        Directory.Move(kept, hidden);
        string gone = Assert.Throws<UserException>(() => Checkpoint.Open(directory).LoadModel(CPU)).Message;
        Assert.Contains("is not there", gone);
        Assert.Contains(hash, gone);

        tiny.Recipe = tiny.Recipe with { Adapter = null, Initialize = null, Seed = 8, Training = tiny.Recipe.Training with { Steps = 2 } };
        tiny.Train("other");
        Directory.Move(Checkpoint.Open(tiny.RunPath("other")).Directory, kept);
        string message = Assert.Throws<UserException>(() => Checkpoint.Open(directory).LoadModel(CPU)).Message;
        Assert.Contains(hash, message);
        Assert.Contains(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(
            File.ReadAllBytes(Path.Combine(kept, CheckpointFiles.Model)))), message);
    }

    [Fact]
    public void Converting_writes_a_whole_model_that_trains_further()
    {
        tiny.Train();
        string output = Path.Combine(tiny.Root, "merged");

        CheckpointConversion.Run(Checkpoint.Open(tiny.RunPath()), output, new() { MergeAdapter = true });

        using DisposeScope scope = NewDisposeScope();
        using LanguageModel whole = Checkpoint.Open(output).LoadModel(CPU), adapted = Checkpoint.Open(tiny.RunPath()).LoadModel(CPU);
        TensorAssert.Same(Logits(adapted), Logits(whole), "logits");
        Assert.Null(Recipe.Load(Path.Combine(output, CheckpointFiles.Configuration)).Adapter);
        Assert.False(File.Exists(Path.Combine(output, CheckpointFiles.Adapter)));
        tiny.Recipe = tiny.Recipe with { Initialize = new() { From = output } };
        Assert.Equal(10, tiny.Train("further").Step);
        Assert.Contains("nothing to merge", Assert.Throws<ConfigurationException>(() => CheckpointConversion.Run(
            Checkpoint.Open(output), output + "2", new() { MergeAdapter = true })).Message);
    }

    [Theory]
    [InlineData("querry", "adapter.targets.0: no linear layer is named \"querry\"; adapters can go to output, query, key, value, " +
        "gate, up, down, or to one by its name, such as blocks.0.mixer.output")]
    [InlineData("head", "adapter.targets.0: \"head\" is head, which is no linear layer of a block")]
    [InlineData("blocks.7.*", "adapter.targets.0: no linear layer is named \"blocks.7.*\"")]
    public void Patterns_that_match_nothing_are_named(string pattern, string message)
    {
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { Targets = [pattern] } };
        Assert.Contains(message, Assert.Throws<ConfigurationException>(tiny.NewState).Message);
    }

    [Fact]
    public void A_rank_is_at_most_that_of_the_matrix()
    {
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { Rank = 9 } };
        Assert.Contains("adapter.rank: rank (9) is more than that of blocks.0.mixer.projection.value, a matrix of 8 × 16; use at most 8",
            Assert.Throws<ConfigurationException>(tiny.NewState).Message);
    }

    [Theory]
    [InlineData("mixer", "would train blocks.0.mixer.output in full, which has an adapter by adapter.targets")]
    [InlineData("nothing", "no module with weights is named \"nothing\"; there are embedding,")]
    public void What_is_trained_in_full_is_there_and_has_no_adapter(string module, string message)
    {
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { Train = [module] } };
        Assert.Contains(message, Assert.Throws<ConfigurationException>(tiny.NewState).Message);
    }

    [Fact]
    public void A_recipe_says_what_is_adapted_and_how()
    {
        Recipe whole = tiny.Recipe;
        tiny.Recipe = whole with { Initialize = null };
        Assert.Contains("adapter: adapts weights that were trained before", tiny.ConfigurationError());
        tiny.Recipe = whole with { Initialize = whole.Initialize! with { Convert = new() { KeyValueHeads = 1 } } };
        Assert.Contains("adapter: goes on weights as a checkpoint has them", tiny.ConfigurationError());
        tiny.Recipe = whole with { Optimizer = new MuonOptions() };
        Assert.Contains("optimizer.type: muon makes the update", tiny.ConfigurationError());
        tiny.Recipe = whole with { Adapter = Lora with { Targets = [" "] } };
        Assert.Contains("adapter.targets.0: is empty", tiny.ConfigurationError());
    }

    [Fact]
    public void The_adapter_of_a_run_stays_when_it_is_resumed()
    {
        tiny.Train(until: 5);
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { Rank = 2 } };
        Assert.Contains("adapter.rank was 4 and is 2 now", Assert.Throws<UserException>(() => tiny.Train(resume: true)).Message);
        tiny.Recipe = tiny.Recipe with { Adapter = Lora with { Dropout = 0 } };
        Assert.Equal(10, tiny.Train(resume: true).Step);
    }

    private string In(string run, string file) => Path.Combine(tiny.Store(run).DirectoryOf(10), file);

    private static Tensor Logits(SequenceModel model)
    {
        using IDisposable quiet = no_grad();
        model.eval();
        Tensor logits = model.call(arange(0, TinyRun.Context, dtype: ScalarType.Int64).mul(7).remainder(100).view(2, -1));
        model.train();
        return logits;
    }

    private static Dictionary<string, float[]> Weights(SequenceModel model) =>
        model.named_parameters().ToDictionary(entry => entry.name, entry => Numbers(entry.parameter));

    private static float[] Numbers(Tensor value) => value.data<float>().ToArray();
}
