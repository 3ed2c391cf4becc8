using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary><c>convert</c> as a user runs it, and what is done with its result.</summary>
public sealed class ConvertTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Fact]
    public void Fewer_heads_and_a_longer_context_generate_evaluate_and_train_on()
    {
        var outcome = workspace.Succeeds(
            "convert", "run", "--output", "both", "--key-value-heads", "1", "--rope-scaling", "yarn", "--factor", "4");
        Assert.Contains("key-value heads 1 (mean), cache 256 B → 128 B per token", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("context 32 → 128 (yarn)", outcome.Output, StringComparison.Ordinal);
        Assert.Equal(["config.json", "manifest.json", "model.safetensors", "tokenizer.json"],
            Directory.EnumerateFiles(workspace.PathOf("both")).Select(Path.GetFileName).Order());

        using var config = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("both/config.json")));
        var model = config.RootElement.GetProperty("model");
        Assert.Equal(("multi-query", 128),
            (model.GetProperty("attention").GetProperty("type").GetString(), model.GetProperty("contextLength").GetInt32()));
        var scaling = model.GetProperty("position").GetProperty("scaling");
        Assert.Equal(("yarn", 4.0, 32),
            (scaling.GetProperty("type").GetString(), scaling.GetProperty("factor").GetDouble(), scaling.GetProperty("originalLength")
            .GetInt32()));

        var generated = workspace.Succeeds("generate", "both", "--prompt", "the ", "--tokens", "60").Output;
        Assert.StartsWith("the ", generated, StringComparison.Ordinal);
        File.WriteAllText(workspace.PathOf("long.txt"), Workspace.Words(60));
        var evaluated = workspace.Succeeds("evaluate", "both", "--data", "long.txt").Output;
        Assert.Contains("(window 128, stride 128)", evaluated, StringComparison.Ordinal);
        var trainedOn = workspace.Succeeds(
            "train", "both/config.json", "--run", "uptrained", "--set", "training.steps=6", "model.contextLength=64",
            "model.position.scaling.factor=2");
        Assert.Contains("first weights from both", trainedOn.Error + trainedOn.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("ntk")]
    [InlineData("ntk-by-parts")]
    [InlineData("dynamic-ntk")]
    [InlineData("yarn")]
    [InlineData("llama3")]
    public void A_model_scaled_in_any_way_generates(string method)
    {
        workspace.Succeeds("convert", "run", "--output", method, "--rope-scaling", method, "--factor", "2");
        Assert.StartsWith("the ", workspace.Succeeds("generate", method, "--prompt", "the ", "--tokens", "3", "--greedy").Output,
            StringComparison.Ordinal);
        Assert.Equal(File.ReadAllBytes(workspace.PathOf("run/checkpoints/step-00000010/model.safetensors")).Length,
            File.ReadAllBytes(workspace.PathOf($"{method}/model.safetensors")).Length);
    }

    [Fact]
    public void Random_heads_follow_from_the_seed()
    {
        foreach (var (output, seed) in new[] { ("random-a", "1"), ("random-b", "1"), ("random-c", "2") })
            workspace.Succeeds("convert", "run", "--output", output, "--key-value-heads", "1", "--pool", "random", "--seed", seed);
        byte[] Weights(string output) => File.ReadAllBytes(workspace.PathOf($"{output}/model.safetensors"));
        Assert.Equal(Weights("random-a"), Weights("random-b"));
        Assert.NotEqual(Weights("random-a"), Weights("random-c"));
    }

    [Fact]
    public void The_mean_is_of_a_checkpoint_whose_path_ends_in_a_slash_and_the_one_before_it_and_is_evaluated_and_exported()
    {
        workspace.Succeeds("train", "small.json", "--run", "averaged", "--set", "training.steps=2", "checkpoint.every=1");
        Assert.Contains("the mean of step-00000001, step-00000002",
            workspace.Succeeds("convert", "averaged/checkpoints/step-00000002/", "--output", "averaged-mean", "--average", "2").Output,
            StringComparison.Ordinal);

        Assert.Contains("(window 32, stride 32)", workspace.Succeeds("evaluate", "averaged-mean").Output, StringComparison.Ordinal);
        Assert.Contains("averaged-theirs: written as llama, f32",
            workspace.Succeeds("export", "averaged-mean", "--format", "huggingface", "--output", "averaged-theirs").Output,
            StringComparison.Ordinal);
        Assert.True(File.Exists(workspace.PathOf("averaged-theirs/model.safetensors")));
    }

    [Fact]
    public void A_converted_checkpoint_has_no_optimizer_state_to_resume_from()
    {
        workspace.Succeeds("convert", "run", "--output", "first", "--key-value-heads", "1", "--pool", "first");
        BadInputTests.Fails(workspace.Run("train", "small.json", "--run", "first", "--resume", "--set", "model.attention.keyValueHeads=1"),
            1,
            "first: it is a converted or imported checkpoint, which has no optimizer state, so there is nothing to resume; begin a run " +
                "with its weights: set initialize.from to first, and leave out --resume");
        BadInputTests.Fails(workspace.Run("train", "small.json", "--run", "run/checkpoints/step-00000010", "--resume"), 1,
            "it is one checkpoint of a run, and a run goes on as a whole");

        Directory.CreateDirectory(workspace.PathOf("moved/checkpoints"));
        Directory.Move(workspace.PathOf("first"), workspace.PathOf("moved/checkpoints/step-00000001"));
        BadInputTests.Fails(workspace.Run("train", "small.json", "--run", "moved", "--resume"), 1,
            "a converted or imported checkpoint has no optimizer state, so no run goes on from it");
    }

    [Theory]
    [InlineData("Nothing to convert: give --key-value-heads, --rope-scaling and --factor, --average, or --merge-adapter.")]
    [InlineData("--average takes 2 checkpoints or more", "--average", "1")]
    [InlineData("--rope-scaling and --factor belong together", "--rope-scaling", "yarn")]
    [InlineData("--rope-scaling and --factor belong together", "--factor", "2")]
    [InlineData("--pool needs --key-value-heads", "--pool", "mean", "--rope-scaling", "yarn", "--factor", "2")]
    [InlineData("--seed draws random heads", "--key-value-heads", "1", "--seed", "3")]
    [InlineData("'spiral' not recognized", "--rope-scaling", "spiral", "--factor", "2")]
    [InlineData("Cannot parse argument 'middle' for option '--pool'", "--key-value-heads", "1", "--pool", "middle")]
    [InlineData("command line: 1 problem\n  --key-value-heads: model.attention has 2 key-value heads, and 3 are more: heads can be " +
        "pooled, not added; use 1 or 2", "--key-value-heads", "3")]
    [InlineData("command line: 1 problem\n  --key-value-heads: model.attention has 2 key-value heads already; there is nothing to pool",
        "--key-value-heads", "2")]
    [InlineData("command line: 2 problems\n  --key-value-heads: keyValueHeads (0) is a number of heads; use 1 or more\n  --factor: " +
        "factor (0.5) is the new context length over the old one; use 1 or more", "--key-value-heads", "0", "--rope-scaling", "yarn",
        "--factor", "0.5")]
    public void What_cannot_be_converted_is_refused_with_the_reason(string message, params string[] arguments)
    {
        BadInputTests.Fails(workspace.Run(["convert", "run", "--output", "refused", .. arguments]), 2, message);
        Assert.False(Directory.Exists(workspace.PathOf("refused")));
    }

    [Theory]
    [InlineData("--key-value-heads: model.attention has 4 key-value heads, which 3 does not divide into equal groups; use 1, 2 or 4",
        "multi-head", "rotary", "--key-value-heads", "3")]
    [InlineData("--key-value-heads: model.attention is of type 'latent', which has no heads of keys and values to pool", "latent", "rotary",
        "--key-value-heads", "2")]
    [InlineData("--rope-scaling: scales rotary positions, and model.position is 'learned'", "multi-head", "learned", "--rope-scaling",
        "linear", "--factor", "2")]
    [InlineData("--rope-scaling: scales rotary positions, and model.position is 'alibi'", "multi-head", "alibi", "--rope-scaling", "linear",
        "--factor", "2")]
    public void Models_that_cannot_be_converted_are_refused_with_the_reason(
        string message, string attention, string position, params string[] arguments)
    {
        using var own = new Workspace();
        File.WriteAllText(own.PathOf("other.json"), File.ReadAllText(own.PathOf("small.json")).Replace(
            "\"type\": \"grouped-query\", \"heads\": 4, \"keyValueHeads\": 2", $"\"type\": \"{attention}\", \"heads\": 4",
            StringComparison.Ordinal));
        own.Succeeds(
            "train", "other.json", "--run", "other", "--set", "training.steps=1", $"model.position.type={position}");
        BadInputTests.Fails(own.Run(["convert", "other", "--output", "refused", .. arguments]), 2, message);
    }

    [Fact]
    public void A_scaling_of_a_scaled_model_is_refused()
    {
        workspace.Succeeds("convert", "run", "--output", "scaled", "--rope-scaling", "linear", "--factor", "2");
        BadInputTests.Fails(workspace.Run("convert", "scaled", "--output", "twice", "--rope-scaling", "yarn", "--factor", "2"), 2,
            "--rope-scaling: model.position.scaling is 'linear' already, made for contextLength 64");
    }

    [Fact]
    public void A_place_that_is_taken_and_a_checkpoint_that_is_not_there_are_named()
    {
        BadInputTests.Fails(workspace.Run("convert", "run", "--output", "run", "--key-value-heads", "1"), 1,
            "run: something is there already; remove it or choose another --output");
        BadInputTests.Fails(workspace.Run("convert", "nowhere", "--output", "x", "--key-value-heads", "1"), 1,
            "nowhere: there is no such checkpoint or run directory");
    }
}
