using FsCheck;
using FsCheck.Fluent;

namespace Trainer.Configuration.Tests;

public sealed class ConfigurationLoaderTests : IDisposable
{
    private const string Base = """
        {
          "name": "base",
          "model": { "position": { "type": "rotary", "theta": 500, "scaling": { "factor": 2 } } },
          "data": { "train": [ { "path": "a.txt" }, { "path": "b.txt", "format": "jsonLines" } ], "weights": { "En": 1, "de": 2 } },
          "optimizer": { "type": "adamw", "learningRate": 0.5, "betas": [0.8, 0.9] }
        }
        """;

    private readonly Workspace workspace = new();

    public ConfigurationLoaderTests() => workspace.Write("base.json", Base);

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Every_layer_is_laid_over_the_one_before()
    {
        workspace.Write("base/root.json", """{ "name": "root", "seed": 1, "training": { "steps": 10, "share": 0.5, "device": "cpu" } }""");
        workspace.Write("middle.json", """{ "extends": "base/root.json", "training": { "steps": 20 } }""");
        workspace.Write("x.json", """
            {
                "$schema": "recipe.schema.json",
                "extends": "middle.json", // comments and trailing commas are fine
                "training": { "steps": 30, "deterministic": false, },
            }
            """);
        var environment = new Dictionary<string, string> { ["TRAINER__TRAINING__STEPS"] = "40", ["trainer__seed"] = "7",
            ["TRAINER_HOME"] = "?" };

        var loaded = ConfigurationLoader.Load<SampleRecipe>(
            workspace.PathOf("x.json"), ["training.steps=50", "training.steps=60"], environment);

        Assert.Equal("root", loaded.Value.Name);
        Assert.Equal(7, loaded.Value.Seed);
        Assert.Equal(new SampleTraining { Steps = 60, Share = 0.5, Device = "cpu", Deterministic = false,
            Samples = loaded.Value.Training.Samples }, loaded.Value.Training);
        Assert.Equal([workspace.PathOf("base/root.json"), workspace.PathOf("middle.json"), workspace.PathOf("x.json")], loaded.SourceFiles);
        Assert.Equal("from --set training.steps=60", loaded.Explain("training.steps"));
        Assert.Equal("from environment variable trainer__seed", loaded.Explain("seed"));
        Assert.Equal($"in {workspace.PathOf("x.json")}:4", loaded.Explain("training.deterministic"));
        Assert.Equal("by default", loaded.Explain("optimizer.learningRate"));
    }

    [Fact]
    public void The_environment_is_that_of_the_process_unless_given()
    {
        Environment.SetEnvironmentVariable("TRAINER__training__note", "from outside");
        try
        {
            Assert.Equal("from outside", ConfigurationLoader.Load<SampleRecipe>(workspace.PathOf("base.json"), []).Value.Training.Note);
        }
        finally
        {
            Environment.SetEnvironmentVariable("TRAINER__training__note", null);
        }
    }

    [Fact]
    public void The_last_override_of_a_path_wins_whatever_the_order()
    {
        Prop.ForAll<int[]>(steps =>
        {
            var allowed = steps.Select(step => Math.Max(1, Math.Abs((long)step) % 1000)).Append(77).ToArray();
            var loaded = workspace.Load("base.json", [.. allowed.Select(step => $"training.steps={step}")]);
            return loaded.Value.Training.Steps == allowed[^1];
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void A_list_in_a_file_replaces_the_lower_list_as_a_whole()
    {
        workspace.Write("x.json", """{ "extends": "base.json", "data": { "train": [ { "path": "c.txt" } ] } }""");

        var only = Assert.Single(workspace.Load("x.json").Value.Data.Train);

        Assert.Equal(new SampleSource { Path = "c.txt" }, only);
    }

    [Fact]
    public void An_empty_list_replaces_too_and_null_takes_the_list_away()
    {
        workspace.Write("x.json", """{ "extends": "base.json", "training": { "samples": ["once"] }, "data": { "validation": [ { "path": "v" } ] } }""");
        workspace.Write("y.json", """{ "extends": "x.json", "training": { "samples": [] }, "data": { "validation": null } }""");

        var value = workspace.Load("y.json").Value;

        Assert.Empty(value.Training.Samples);
        Assert.Null(value.Data.Validation);
        Assert.Empty(workspace.Load("x.json", "data.validation=[]").Value.Data.Validation!);
        Assert.Null(workspace.Load("x.json", "data.validation=null").Value.Data.Validation);
    }

    [Fact]
    public void A_single_item_is_set_by_its_index_and_the_next_index_appends()
    {
        var train = workspace.Load("base.json", "data.train.1.path=my.txt", "data.train.2.path=new.txt").Value.Data.Train;

        Assert.Equal(
            [new() { Path = "a.txt" }, new() { Path = "my.txt", Format = SampleFormat.JsonLines }, new() { Path = "new.txt" }], train);
    }

    [Fact]
    public void An_item_can_be_set_by_the_environment()
    {
        var environment = new Dictionary<string, string> { ["TRAINER__data__train__0__path"] = "my.txt",
            ["TRAINER__DATA__TRAIN__0__FORMAT"] = "dotnet-docs" };

        var train = ConfigurationLoader.Load<SampleRecipe>(workspace.PathOf("base.json"), [], environment).Value.Data.Train;

        Assert.Equal(new SampleSource { Path = "my.txt", Format = SampleFormat.DotnetDocs }, train[0]);
    }

    [Fact]
    public void An_item_of_a_default_list_is_set_by_its_index()
    {
        workspace.Write("x.json", """{ "name": "x" }""");

        Assert.Equal([0.9, 0.99], Assert.IsType<SampleAdam>(workspace.Load("x.json", "optimizer.betas.1=0.99").Value.Optimizer).Betas);
    }

    [Fact]
    public void Lists_and_objects_can_be_overridden_as_JSON()
    {
        var value = workspace.Load("base.json", "optimizer.betas=[0.1, 0.2]", """model.position={"scaling": {"factor": 8}}""", "training.note={not JSON").Value;

        Assert.Equal([0.1, 0.2], Assert.IsType<SampleAdam>(value.Optimizer).Betas);
        Assert.Equal(new SampleRotary { Theta = 500, Scaling = new() { Factor = 8 } }, Assert.IsType<SampleDecoder>(value.Model).Position);
        Assert.Equal("{not JSON", value.Training.Note);
    }

    [Fact]
    public void Dictionaries_merge_by_key_and_keep_the_spelling_of_the_file()
    {
        var weights = ConfigurationLoader.Load<SampleRecipe>(
            workspace.PathOf("base.json"), ["data.weights.fr=3"],
            new Dictionary<string, string> { ["TRAINER__DATA__WEIGHTS__EN"] = "5" }).Value.Data.Weights;

        Assert.Equal([("En", 5.0), ("de", 2.0), ("fr", 3.0)], weights.Select(pair => (pair.Key, pair.Value))
            .OrderBy(pair => pair.Value == 5 ? 0 : pair.Value));
    }

    [Fact]
    public void Another_variant_drops_what_only_the_former_one_knew()
    {
        var value = workspace.Load("base.json", "model.position.type=none", "optimizer.momentum=0.9", "OPTIMIZER.TYPE=SGD").Value;

        Assert.IsType<SampleNoPosition>(Assert.IsType<SampleDecoder>(value.Model).Position);
        Assert.Equal(new SampleSgd { Momentum = 0.9, LearningRate = 0.5 }, value.Optimizer);
    }

    [Fact]
    public void Another_variant_drops_a_shared_name_that_means_another_type()
    {
        workspace.Write("x.json", """{ "extends": "base.json", "model": { "position": { "type": "learned" } } }""");

        Assert.Equal(new SampleLearned(), Assert.IsType<SampleDecoder>(workspace.Load("x.json").Value.Model).Position);
        Assert.Equal(new SampleLearned { Scaling = 3 },
            Assert.IsType<SampleDecoder>(workspace.Load("x.json", "model.position.scaling=3").Value.Model).Position);
    }

    [Fact]
    public void Another_variant_does_not_excuse_keys_that_nobody_knew()
    {
        workspace.Write("x.json", """{ "name": "x", "model": { "position": { "type": "rotary", "thta": 1 } } }""");

        Assert.Equal("""
            configs/x.json: 1 problem
              model.position.thta: unknown key (in configs/x.json:1); known here: type
            """, workspace.Fails("x.json", ["model.position.type=none"]));
    }

    [Fact]
    public void Keys_of_the_former_variant_given_with_or_above_the_new_one_are_unknown()
    {
        workspace.Write("x.json", """{ "extends": "base.json", "model": { "position": { "type": "none" } } }""");

        Assert.Equal("""
            configs/x.json: 2 problems
              model.position.theta: unknown key (from --set model.position.theta=3); known here: type
              optimizer.betas: unknown key (from --set optimizer.betas=[0,0]); known here: type, learningRate, momentum
            """, workspace.Fails("x.json", ["model.position.theta=3", "optimizer.betas=[0,0]", "optimizer.type=sgd"]));
    }

    [Fact]
    public void A_variant_that_is_not_named_is_the_default_with_its_values()
    {
        workspace.Write("x.json", """{ "name": "x", "model": { "position": { "scaling": { "factor": 2 } } } }""");
        workspace.Write("y.json", """{ "name": "y", "model": { "position": { "type": "rotary" } } }""");

        Assert.Equal(new SampleRotary { Theta = 5000, Scaling = new() { Factor = 2 } },
            Assert.IsType<SampleDecoder>(workspace.Load("x.json").Value.Model).Position);
        Assert.Equal(new SampleRotary { Theta = 5000 }, Assert.IsType<SampleDecoder>(workspace.Load("y.json").Value.Model).Position);
    }

    [Fact]
    public void Defaults_are_copied_and_never_changed()
    {
        workspace.Load("base.json", "model.attention.heads=12");

        Assert.Equal(6, Assert.IsType<SampleDecoder>(workspace.Load("base.json").Value.Model).Attention.Heads);
    }
}
