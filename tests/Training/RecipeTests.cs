using Trainer.Configuration;
using Trainer.Data;
using Trainer.Models;
using Trainer.Models.Attention.Kernels;
using Trainer.Models.Attention.Patterns;
using Trainer.Models.Devices;
using Trainer.Training.Optimizers;

namespace Trainer.Training.Tests;

public sealed class RecipeTests : IDisposable
{
    private const string Minimal =
        """
        {
          "name": "small",
          "model": { "architecture": "decoder", "dim": 32, "layers": 2, "contextLength": 16, "attention": { "type": "multi-head", "heads": 2 } },
          "tokenizer": { "type": "byte" },
          "data": { "train": [ { "path": "text.txt" } ] },
          "training": { "steps": 100, "batchSize": 8 }
        }
        """;

    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void A_recipe_needs_only_what_nobody_can_guess()
    {
        Recipe recipe = ConfigurationJson.Deserialize<Recipe>(Minimal, "test");

        Assert.Equal(1337, recipe.Seed);
        Assert.IsType<AdamWOptions>(recipe.Optimizer);
        Assert.IsType<CosineSchedule>(recipe.Schedule);
        Assert.Equal((Precision.Float32, DeviceChoice.Auto, 1.0, true),
            (recipe.Training.Precision, recipe.Training.Device, recipe.Training.GradientClip, recipe.Training.Deterministic));
    }

    [Fact]
    public void The_names_of_the_contract_are_understood()
    {
        string json = Minimal.Replace("\"batchSize\": 8 }",
            """
            "batchSize": 8, "microBatchSize": 4, "precision": "bfloat16", "device": "cpu", "gradientClip": 0.5, "deterministic": false },
              "optimizer": { "type": "adamw", "learningRate": 1e-4, "betas": [0.8, 0.9], "weightDecay": 0.2 },
              "schedule": { "type": "warmup-stable-decay", "warmupSteps": 10, "minimumLearningRate": 1e-5 },
              "evaluation": { "every": 25, "batches": 5 }, "checkpoint": { "every": 50, "keep": 2 },
              "monitoring": { "logEvery": 1, "tensorBoard": false, "samples": ["Once"] },
              "initialize": { "from": "runs/base/checkpoints/best" }
            """);

        Recipe recipe = ConfigurationJson.Deserialize<Recipe>(json, "test");

        Assert.Equal((4, Precision.BFloat16, DeviceChoice.Cpu),
            (recipe.Training.MicroBatchSize, recipe.Training.Precision, recipe.Training.Device));
        Assert.Equal([0.8, 0.9], ((AdamWOptions)recipe.Optimizer).Betas);
        Assert.Equal((10, 1e-5), (recipe.Schedule.WarmupSteps, ((WarmupStableDecaySchedule)recipe.Schedule).MinimumLearningRate));
        Assert.Equal("runs/base/checkpoints/best", recipe.Initialize?.From);
    }

    [Fact]
    public void A_resolved_recipe_reads_back_the_same()
    {
        string json = ConfigurationJson.Serialize(tiny.Recipe);

        Assert.Equal(json, ConfigurationJson.Serialize(ConfigurationJson.Deserialize<Recipe>(json, "test")));
    }

    [Fact]
    public void Rules_between_sections_are_reported_together()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Name = "a/b",
            Training = tiny.Recipe.Training with { Steps = 5, BatchSize = 12, MicroBatchSize = 5 },
            Optimizer = new AdamWOptions { LearningRate = 1e-4, Betas = [0.9] },
            Schedule = new CosineSchedule { WarmupSteps = 6, MinimumLearningRate = 1e-3 },
        };

        string message = tiny.ConfigurationError();

        Assert.Contains("name: 'a/b' must be made of letters, digits, '-', '_' and '.', for it names the run's directory under runs/",
            message);
        Assert.Contains("training.microBatchSize: microBatchSize (5) must divide batchSize (12); try 4", message);
        Assert.Contains("optimizer.betas: has 1 value; two are needed, such as [0.9, 0.95]", message);
        Assert.Contains("schedule.minimumLearningRate: minimumLearningRate (0.001) must be at most optimizer.learningRate (0.0001)",
            message);
    }

    [Theory]
    [InlineData("steps", 0L)]
    [InlineData("batchSize", 0L)]
    [InlineData("microBatchSize", 0L)]
    public void Counts_start_at_one(string name, long value)
    {
        string json = Minimal.Replace("\"training\": { ", $"\"training\": {{ \"{name}\": {value}, ")
            .Replace(name == "steps" ? ", \"steps\": 100" : "§", "").Replace(name == "batchSize" ? ", \"batchSize\": 8" : "§", "");

        var error = Assert.Throws<ConfigurationException>(() => ConfigurationJson.Deserialize<Recipe>(json, "test"));

        Assert.Equal([$"training.{name}"], error.Problems.Select(problem => problem.Path));
    }

    [Theory]
    [InlineData(DataObjective.Masked,
        "data.objective: 'masked' trains architecture 'encoder', but model.architecture is 'decoder'; set data.objective to 'causal', " +
        "or model.architecture to 'encoder'")]
    [InlineData(DataObjective.SequenceToSequence,
        "data.objective: 'sequence-to-sequence' trains architecture 'encoder-decoder', but model.architecture is 'decoder'; set " +
        "data.objective to 'causal', or model.architecture to 'encoder-decoder'")]
    public void An_objective_needs_its_architecture(DataObjective objective, string problem)
    {
        tiny.Recipe = tiny.Recipe with { Data =
            new DataOptions { Train =
            [new SourceOptions { Path = "a.txt", TargetPath = objective == DataObjective.Masked ? null : "b.txt" }],
            Objective = objective } };
        Assert.Contains(problem, tiny.ConfigurationError());
    }

    [Theory]
    [InlineData(DataPacking.Documents, true)]
    [InlineData(DataPacking.Crops, false)]
    public void Linear_attention_cannot_keep_packed_documents_apart(DataPacking packing, bool refused)
    {
        var model = (DecoderOptions)tiny.Recipe.Model;
        tiny.Recipe = tiny.Recipe with
        {
            Data = tiny.Recipe.Data with { Packing = packing },
            Model = model with { Attention = model.Attention with { Kernel = AttentionKernel.Linear } },
        };
        var problems = tiny.Recipe.Validate().Select(problem => $"{problem.Path}: {problem.Message}").ToArray();
        Assert.Equal(refused, problems.Contains(
            "model.attention.kernel: 'linear' sums over whole rows, and data.packing 'documents' puts several documents in a row, none " +
                "of which may see another; use kernel 'auto', or set data.packing to 'crops'"));
    }

    [Fact]
    public void A_prefix_is_that_of_one_text_in_a_row_and_leaves_something_to_predict()
    {
        var model = (DecoderOptions)tiny.Recipe.Model;
        tiny.Recipe = tiny.Recipe with
        {
            Data = tiny.Recipe.Data with { Packing = DataPacking.Documents, PositionSkipping = new() { Window = 3 } },
            Model = model with { Attention = model.Attention with { Pattern = new PrefixOptions { PrefixLength = 4 } } },
        };
        var problems = tiny.Recipe.Validate().Select(problem => $"{problem.Path}: {problem.Message}").ToArray();
        Assert.Contains("data.packing: 'documents' puts several documents in a row, of which only the first would have the prefix of 4 " +
            "tokens that attention pattern 'prefix' reads together; use 'crops' or 'pairs', or pattern 'causal'", problems);
        Assert.Contains("data.positionSkipping.window: window (3) is less than the 4 tokens that attention pattern 'prefix' reads " +
            "together, so that none is left to predict; use 4 or more, or a shorter prefixLength", problems);
    }

    [Theory]
    [InlineData("sliding", """ "window": 4, "sinks": 2 """, true)]
    [InlineData("longformer", """ "window": 4, "causal": true """, true)]
    [InlineData("fixed", """ "stride": 4 """, true)]
    [InlineData("bigbird", """ "blockSize": 4, "causal": true """, true)]
    [InlineData("sliding", """ "window": 4 """, false)]
    [InlineData("longformer", """ "window": 4, "globalTokens": 0, "causal": true """, false)]
    [InlineData("strided", """ "stride": 4 """, false)]
    public void A_pattern_that_counts_from_the_row_s_beginning_is_of_one_document(string type, string settings, bool refused)
    {
        var model = (DecoderOptions)tiny.Recipe.Model;
        var pattern = ConfigurationJson.Deserialize<PatternOptions>($$"""{ "type": "{{type}}", {{settings}} }""", "test");
        tiny.Recipe = tiny.Recipe with
        {
            Data = tiny.Recipe.Data with { Packing = DataPacking.Documents },
            Model = model with { Attention = model.Attention with { Pattern = pattern } },
        };
        var problems = tiny.Recipe.Validate().Select(problem => $"{problem.Path}: {problem.Message}").ToArray();
        Assert.Equal(refused, problems.Contains(
            "data.packing: 'documents' puts several documents in a row, of which only the first would have the sinks, global tokens or " +
                $"blocks that attention pattern '{type}' counts from the row's beginning; use 'crops' or 'pairs', or pattern 'causal', " +
                "'strided', or 'sliding' without sinks"));
    }

    [Fact]
    public void A_model_rule_is_reported_with_its_place()
    {
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Dim = 17 } };

        Assert.Contains("model", tiny.ConfigurationError());
    }
}
