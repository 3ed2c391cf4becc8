using TorchSharp;
using TorchSharp.Modules;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Training.Optimizers;
using static TorchSharp.torch;
using OptimizerOptions = Trainer.Training.Optimizers.OptimizerOptions;

namespace Trainer.Training.Tests.Optimizers;

public sealed class ParameterGroupsTests
{
    public static TheoryData<string> Kinds => ["adamw", "lion", "sgd", "adafactor", "schedule-free-adamw", "muon"];

    [Fact]
    public void They_hold_every_parameter_once_by_rank()
    {
        using DisposeScope scope = NewDisposeScope();
        (string, Parameter)[] parameters =
            [("embedding", new(zeros(8, 4))), ("norm", new(zeros(4))), ("head", new(zeros(4, 8)))];

        IReadOnlyList<ParameterGroup> groups = ParameterGroups.Of(parameters, new AdamWOptions(), weightDecay: 0.1);

        Assert.Equal(["embedding head", "norm"], groups.Select(group => string.Join(' ', group.Parameters.Select(p => p.Name))));
        Assert.Equal(["weight decay 0.1: 2 tensors, 64 parameters", "no weight decay: 1 tensors, 4 parameters"], groups.Describe());
    }

    [Fact]
    public void Groups_of_their_own_are_told_with_learning_rate_and_weight_decay()
    {
        using DisposeScope scope = NewDisposeScope();
        AdamWOptions options = new()
        {
            Groups = new() { Embeddings = new() { LearningRate = 0.01 }, Matrices = new() { WeightDecay = 0 }, Vectors = new() { WeightDecay = 0.2 } },
        };

        using Optimizer optimizer = options.Build(Optimizers.Parameters(), layout: Optimizers.Layout);

        Assert.Equal(
            [
                "embeddings, learning rate 0.01, weight decay 0.1: 1 tensors, 28 parameters",
                "matrices, learning rate 0.001, weight decay 0: 3 tensors, 228 parameters",
                "head, learning rate 0.001, weight decay 0.1: 0 tensors, 0 parameters",
                "vectors, learning rate 0.001, weight decay 0.2: 1 tensors, 5 parameters",
            ],
            optimizer.Description);
    }

    // Each group moves as in a run whose optimizer has its settings for all.
    [Theory]
    [MemberData(nameof(Kinds))]
    public void Each_parameter_moves_by_the_settings_of_its_group(string kind)
    {
        using DisposeScope scope = NewDisposeScope();
        OptimizerOptions options = Optimizers.All[kind] with { LearningRate = 0.01 };
        ParameterGroupOptions embeddings = new() { LearningRate = 0.04 }, matrices = new() { LearningRate = 0.002 };

        float[][] grouped = Moved(options with { Groups = new() { Embeddings = embeddings, Matrices = matrices } }, rate: 0.01);

        Assert.Equal(Moved(options, rate: 0.01)[4], grouped[4]); // the vector
        Near(Moved(options, rate: 0.04)[3], grouped[3]);
        foreach (int matrix in Enumerable.Range(0, 3)) Near(Moved(options, rate: 0.002)[matrix], grouped[matrix]);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void The_head_moves_by_the_learning_rate_of_its_group(string kind)
    {
        using DisposeScope scope = NewDisposeScope();
        OptimizerOptions options = Optimizers.All[kind] with { LearningRate = 0.01 };
        ParameterLayout layout = Optimizers.LayoutOf(["w", "head"], new HiddenMatrix("w", [new(6)]));
        (string, Parameter)[] WithHead() =>
            [("w", new(ones(6, 4))), ("head", new(arange(28, ScalarType.Float32).view(7, 4).sub(9)))];

        float[][] grouped = Moved(
            options with { Groups = new() { Head = new() { LearningRate = 0.04 } } }, rate: 0.01, WithHead(), layout);

        Near(Moved(options, rate: 0.01, WithHead(), layout)[0], grouped[0]);
        Near(Moved(options, rate: 0.04, WithHead(), layout)[1], grouped[1]);
    }

    [Fact]
    public void Weight_decay_of_a_group_replaces_the_optimizers()
    {
        using DisposeScope scope = NewDisposeScope();
        SgdOptions options = new() { LearningRate = 0.1, Momentum = 0, WeightDecay = 0.5 };

        float[][] moved = Moved(options with { Groups = new() { Matrices = new() { WeightDecay = 0 } } }, rate: 0.1);

        Near(Moved(options with { WeightDecay = 0 }, rate: 0.1)[0], moved[0]);
        Near(Moved(options, rate: 0.1)[3], moved[3]);
    }

    [Fact]
    public void Roles_are_found_in_a_model_and_a_tied_head_is_an_embedding()
    {
        using TinyRun tiny = new();
        ModelOptions options = tiny.Recipe.Model with { TieEmbeddings = false };
        using LanguageModel untied = options.Build(20), tied = (options with { TieEmbeddings = true }).Build(20);

        ParameterLayout layout = untied.ParameterLayout();

        Assert.Equal(untied.named_parameters().Select(p => p.name).Order(), layout.Roles.Keys.Order());
        Assert.Equal(["embedding.weight"], Named(layout, ParameterRole.Embedding));
        Assert.Equal(["head.weight"], Named(layout, ParameterRole.Head));
        Assert.Equal(layout.Matrices.Select(matrix => matrix.Name).Order(), Named(layout, ParameterRole.Matrix));
        Assert.Empty(Named(tied.ParameterLayout(), ParameterRole.Head));
    }

    [Theory]
    [InlineData("""{"type": "adamw", "groups": {"head": {"learningRate": 0.1}}}""", "optimizer.groups.head: the head is the token embedding")]
    [InlineData("""{"type": "adamw", "groups": {"matrices": {}}}""", "optimizer.groups.matrices: changes nothing; give learningRate")]
    [InlineData("""{"type": "adamw", "groups": {"layers": {}}}""", "embeddings, matrices, head, vectors")]
    [InlineData("""{"type": "muon", "adamw": {"groups": {"vectors": {"weightDecay": 0.1}}}}""", "move it up to optimizer.groups")]
    [InlineData("""{"type": "muon", "adamw": {"average": {}}}""", "move it up to optimizer.average")]
    [InlineData("""{"type": "schedule-free-adamw", "average": {}}""", "averages the weights itself")]
    public void Groups_that_cannot_work_are_refused(string optimizer, string message)
    {
        using TinyRun tiny = new();
        string json = ConfigurationJson.Serialize(tiny.Recipe with { Model = tiny.Recipe.Model with { TieEmbeddings = true } });

        var error = Assert.Throws<ConfigurationException>(
            () => ConfigurationJson.Deserialize<Recipe>(OptimizerTests.WithOptimizer(json, optimizer), "test"));

        Assert.Contains(message, error.Message);
    }

    private static IEnumerable<string> Named(ParameterLayout layout, ParameterRole role) =>
        layout.Roles.Where(entry => entry.Value == role).Select(entry => entry.Key).Order();

    private static float[][] Moved(OptimizerOptions options, double rate) =>
        Moved(options, rate, Optimizers.Parameters(), Optimizers.Layout);

    private static float[][] Moved(
        OptimizerOptions options, double rate, (string Name, Parameter Value)[] parameters, ParameterLayout layout)
    {
        using Optimizer optimizer = options.Build(parameters, layout: layout);
        foreach (int step in Enumerable.Range(1, 3))
        {
            using Generator random = new((ulong)step);
            foreach ((_, Parameter value) in parameters) value.grad = randn(value.shape, generator: random);
            optimizer.Step(rate, tensor(0f));
        }
        return [.. parameters.Select(p => p.Value.detach().reshape(-1).data<float>().ToArray())];
    }

    private static void Near(float[] expected, float[] actual)
    {
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 2e-5);
    }
}
