using System.Text.Json.Nodes;
using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Tests;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Optimizers;

/// <summary>What holds for every optimizer.</summary>
public sealed class OptimizerTests
{
    public static TheoryData<string> Names => [.. Optimizers.All.Keys];

    public static TheoryData<string> Elementwise => [.. Optimizers.All.Where(entry => !entry.Value.NeedsWholeMatrices).Select(e => e.Key)];

    public static TheoryData<string, int> Threads =>
        new(from name in Optimizers.All.Keys from count in new[] { 2, 5 } select (name, count));

    public static TheoryData<string, int> Resumes =>
        new(from name in Optimizers.All.Keys where name != "adamw" from count in new[] { 1, 2 } select (name, count));

    [Theory]
    [MemberData(nameof(Names))]
    public void A_skipped_step_changes_neither_weights_nor_state(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = Optimizers.Parameters();
        using Optimizer optimizer = Build(name, parameters);
        Optimizers.TakeSteps(optimizer, parameters, from: 1, count: 2);
        float[][] before = Optimizers.Everything(optimizer, parameters);

        foreach ((_, Parameter value) in parameters) value.grad = full(value.shape, float.NaN);
        optimizer.ClipAndStep(norm: tensor(float.NaN), maxNorm: 1, learningRate: 0.1, skip: tensor(1f));

        Assert.Equal(before, Optimizers.Everything(optimizer, parameters));
        Optimizers.TakeSteps(optimizer, parameters, from: 3, count: 1);
        Assert.All(Optimizers.Everything(optimizer, parameters), values => Assert.All(values, value => Assert.True(float.IsFinite(value))));
        Assert.NotEqual(before, Optimizers.Everything(optimizer, parameters));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_update_is_undone_where_the_host_cannot_ask_whether_to_skip_it(bool waits)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor one = tensor(new[] { 1f, 2f }), count = tensor(0.0, ScalarType.Float64);

        Optimizer.Unless(tensor(1f), [one, count], Spoil, waits);
        TensorAssert.Equal([1, 2], one);
        TensorAssert.Equal([0], count.view(1));
        Optimizer.Unless(tensor(0f), [one, count], () => count.add_(1), waits);
        TensorAssert.Equal([1], count.view(1));

        void Spoil()
        {
            one.mul_(float.NaN);
            count.add_(1);
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Parameters_without_a_gradient_stay_where_they_are(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = Optimizers.Parameters();
        using Optimizer optimizer = Build(name, parameters);
        Optimizers.TakeSteps(optimizer, parameters.Where((_, index) => index % 2 == 0), from: 1, count: 2);

        (string Name, Parameter Value)[] start = Optimizers.Parameters();
        for (int i = 0; i < parameters.Length; i++)
            Assert.Equal(i % 2 != 0, parameters[i].Value.detach().equal(start[i].Value.detach()).all().item<bool>());
    }

    [Theory]
    [MemberData(nameof(Threads))]
    public void Threads_share_the_parameters_and_give_the_bits_of_one(string name, int count)
    {
        using DisposeScope scope = NewDisposeScope();
        using WorkerThreads threads = new(count);
        (string Name, Parameter Value)[] alone = Optimizers.Parameters(), shared = Optimizers.Parameters();
        using Optimizer one = Build(name, alone), several = Build(name, shared, threads);

        Optimizers.TakeSteps(one, alone, from: 1, count: 3);
        Optimizers.TakeSteps(several, shared, from: 1, count: 3);

        Assert.Equal(one.State.Select(state => state.Name), several.State.Select(state => state.Name));
        Assert.Equal(Optimizers.Everything(one, alone), Optimizers.Everything(several, shared));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Saved_state_goes_on_as_if_it_had_not_been_saved(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        using TemporaryDirectory directory = new();
        (string Name, Parameter Value)[] whole = Optimizers.Parameters(), resumed = Optimizers.Parameters(seed: 8);
        using Optimizer trained = Build(name, whole), fresh = Build(name, resumed);
        Optimizers.TakeSteps(trained, whole, from: 1, count: 3);

        trained.Save(directory.File("optimizer.safetensors"));
        using (no_grad())
            foreach (((_, Parameter to), (_, Parameter from)) in resumed.Zip(whole)) to.copy_(from);
        fresh.Load(directory.File("optimizer.safetensors"));
        Optimizers.TakeSteps(trained, whole, from: 4, count: 3);
        Optimizers.TakeSteps(fresh, resumed, from: 4, count: 3);

        Assert.Equal(Optimizers.Everything(trained, whole), Optimizers.Everything(fresh, resumed));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_name_of_the_state_begins_with_its_parameter(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = Optimizers.Parameters();
        using Optimizer optimizer = Build(name, parameters);

        string[] names = [.. optimizer.State.Select(state => state.Name)];

        Assert.Equal(names.Distinct(), names);
        Assert.All(names, entry => Assert.Contains(parameters, parameter => entry.StartsWith($"{parameter.Name}.")));
    }

    // Matrices of blocks and all else may be updated by different optimizers, so that neither would see it twice.
    [Theory]
    [MemberData(nameof(Names))]
    public void A_parameter_listed_twice_is_refused(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter shared = new(zeros(12, 4));

        var error = Assert.Throws<ArgumentException>(
            () => Build(name, [("tall", shared), ("embedding", shared), ("vector", new(zeros(5)))]));
        Assert.StartsWith("every parameter must be listed once; twice are tall, embedding", error.Message);

        error = Assert.Throws<ArgumentException>(() => Build(name, [("tall", new(zeros(12, 4))), ("tall", new(zeros(12, 4)))]));
        Assert.StartsWith("every parameter must be listed once; twice are tall (", error.Message);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void The_groups_in_the_log_add_up_to_all_parameters(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        (string Name, Parameter Value)[] parameters = Optimizers.Parameters();
        using Optimizer optimizer = Build(name, parameters);

        // such as "weight decay 0.1: 4 tensors, 256 parameters"
        string[][] words = [.. optimizer.Description.Where(line => line.Contains(" tensors, ")).Select(
            line => line.Split(": ")[^1].Split(' '))];

        Assert.Equal(5, words.Sum(line => int.Parse(line[0])));
        Assert.Equal(48 + 60 + 120 + 28 + 5, words.Sum(line => int.Parse(line[2])));
    }

    [Theory]
    [MemberData(nameof(Elementwise))]
    public void Pieces_of_parameters_are_updated_as_the_whole(string name)
    {
        using DisposeScope scope = NewDisposeScope();
        Parameter whole = new(arange(12, ScalarType.Float32).view(3, 4).sub(5));
        Parameter[] pieces = [.. whole.detach().view(-1, 1).split([5, 7]).Select(piece => new Parameter(piece.clone()))];
        using Optimizer one = Build(name, [("w", whole)]), two = Build(name, [("w.0", pieces[0]), ("w.1", pieces[1])]);
        for (int step = 1; step <= 3; step++)
        {
            whole.grad = whole.detach().mul(0.1 * step).add(0.05);
            foreach (Parameter piece in pieces) piece.grad = piece.detach().mul(0.1 * step).add(0.05);
            one.Step(0.01, tensor(0f));
            two.Step(0.01, tensor(0f));
        }

        // Not always to the last bit: the ends of vectors are computed without fused operations.
        TensorAssert.Close(whole.detach().view(-1, 1), cat([.. pieces.Select(piece => piece.detach())]), 1e-6);
    }

    [Theory]
    [InlineData("adamw", false)]
    [InlineData("schedule-free-adamw", false)]
    [InlineData("lion", false)]
    [InlineData("sgd", false)]
    [InlineData("muon", true)]
    [InlineData("adafactor", true)]
    public void Optimizers_say_whether_they_need_whole_matrices(string name, bool whole) =>
        Assert.Equal(whole, Optimizers.All[name].NeedsWholeMatrices);

    [Theory]
    [MemberData(nameof(Resumes))]
    public void A_stopped_and_resumed_run_equals_one_that_was_not_bit_for_bit(string name, int threads)
    {
        using TinyRun tiny = new();
        tiny.Recipe = tiny.Recipe with { Optimizer = Optimizers.All[name] with { LearningRate = 3e-3 } };
        set_num_threads(threads);
        try
        {
            tiny.Train("whole");
            using StopSignal stop = new();
            tiny.Train("stopped", sink: new RecordingSink { OnStep = metrics => { if (metrics.Step == 7) stop.Request(); } }, stop: stop);
            Assert.Equal(7, tiny.Store("stopped").Last);

            tiny.Train("stopped", resume: true);
        }
        finally
        {
            set_num_threads(1);
        }
        foreach (string file in (string[])["model.safetensors", "optimizer.safetensors", "state.json"])
            Assert.Equal(Bytes(tiny, "whole", file), Bytes(tiny, "stopped", file));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_model_learns_and_no_tensor_is_left_behind(string name)
    {
        using TinyRun tiny = new(dropout: 0);
        tiny.Recipe = tiny.Recipe with { Optimizer = Optimizers.All[name] };
        using TrainState training = tiny.NewState();
        double rate = name.StartsWith("sgd") ? 0.3 : name == "adafactor" ? 0.1 : name == "lion" ? 1e-3 : 0.01;
        training.TakeStep(rate);
        double first = training.Read().Loss;
        for (int i = 0; i < 3; i++) training.TakeStep(rate);
        Finalizers.Run();
        long live = LiveTensors.Count();

        for (int i = 0; i < 40; i++)
        {
            training.TakeStep(rate);
            training.Optimizer.UseAverages()?.Dispose();
            training.Read();
            Assert.Equal(live, LiveTensors.Count());
        }
        Assert.InRange(training.Read().Loss, 0, first - 0.5);
    }

    [Theory]
    [InlineData("""{ "type": "sgd", "nesterov": true, "momentum": 0 }""",
        "optimizer.nesterov: is true, but momentum is 0, so that there is nothing to look ahead by; set it to false")]
    [InlineData("""{ "type": "muon", "momentum": 0 }""",
        "optimizer.nesterov: is true, but momentum is 0, so that there is nothing to look ahead by; set it to false")]
    [InlineData("""{ "type": "muon", "precision": "tf32" }""",
        "optimizer.precision: is tf32, which training.precision alone sets; use bfloat16 or float32")]
    [InlineData("""{ "type": "muon", "adamw": { "betas": [0.9] } }""",
        "optimizer.adamw.betas: has 1 value; two are needed, such as [0.9, 0.95]")]
    [InlineData("""{ "type": "muon", "scale": "keller" }""", "optimizer.scale")]
    [InlineData("""{ "type": "lion", "betas": [0.9, 1] }""", "optimizer.betas.1: is 1; it must be at least 0 and below 1")]
    [InlineData("""{ "type": "schedule-free-adamw", "betas": [0, 0.9] }""",
        "optimizer.betas.0: is 0; it must be above 0, as the average could not be told from the weights in training")]
    [InlineData("""{ "type": "adafactor", "decayPower": 0 }""", "optimizer.decayPower")]
    [InlineData("""{ "type": "sgd", "momentum": 1 }""", "optimizer.momentum")]
    [InlineData("""{ "type": "sgd", "needsWholeMatrices": true }""", "optimizer.needsWholeMatrices: unknown key")]
    public void Settings_that_cannot_work_are_refused(string optimizer, string message)
    {
        using TinyRun tiny = new();
        string json = ConfigurationJson.Serialize(tiny.Recipe);

        var error = Assert.Throws<ConfigurationException>(
            () => ConfigurationJson.Deserialize<Recipe>(WithOptimizer(json, optimizer), "test"));

        Assert.Contains(message, error.Message);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Settings_survive_JSON(string name)
    {
        using TinyRun tiny = new();
        tiny.Recipe = tiny.Recipe with { Optimizer = Optimizers.All[name] with { LearningRate = 0.002 } };
        string json = ConfigurationJson.Serialize(tiny.Recipe);

        Assert.Equal(json, ConfigurationJson.Serialize(ConfigurationJson.Deserialize<Recipe>(json, "test")));
    }

    internal static string WithOptimizer(string recipe, string optimizer)
    {
        JsonNode json = JsonNode.Parse(recipe)!;
        json["optimizer"] = JsonNode.Parse(optimizer);
        return json.ToJsonString();
    }

    private static Optimizer Build(string name, (string Name, Parameter Value)[] parameters, WorkerThreads? threads = null) =>
        Optimizers.All[name].Build(parameters, threads, Optimizers.Layout);

    private static byte[] Bytes(TinyRun tiny, string run, string file) =>
        File.ReadAllBytes(Path.Combine(tiny.Store(run).DirectoryOf(12), file));
}
