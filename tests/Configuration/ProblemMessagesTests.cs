namespace Trainer.Configuration.Tests;

public sealed class ProblemMessagesTests : IDisposable
{
    private readonly Workspace workspace = new();

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Everything_that_is_wrong_is_reported_at_once()
    {
        workspace.Write("x.json", """
            {
              "name": 5,
              "sead": 3,
              "Training": { "steps": 3 },
              "model": { "architecture": "decodr" },
              "data": {
                "train": [ { "pth": "a" }, 3, { "path": "b", "format": "txt" } ],
                "validation": {},
                "weights": { "a": "x" }
              },
              "optimizer": { "type": "sgd", "betas": [1], "learningRate": "fast" }
            }
            """);
        string[] overrides = ["training.steps=many", "oops", "=3", "a..b=3", "training.share=1.4", "training.device=gpu", "extends=q"];
        var environment = new Dictionary<string, string> { ["TRAINER__training__deterministic"] = "maybe",
            ["TRAINER__traning__steps"] = "3" };

        Assert.Equal("""
            configs/x.json: 21 problems
              --set "oops" has no "="; write --set path=value, such as --set training.steps=100
              --set "=3" has no path before "="; write --set path=value, such as --set training.steps=100
              a..b: not a path: its parts are names or list indices, none empty, without colons (from --set a..b=3)
              extends: extends can only stand in a file (from --set extends=q)
              sead: unknown key (in configs/x.json:3); did you mean seed? Known here: name, seed, model, data, training, optimizer
              Training: unknown key (in configs/x.json:4); did you mean training? Known here: name, seed, model, data, training, optimizer
              traning: unknown key (from environment variable TRAINER__traning__steps); did you mean training? Known here: name, seed, model, data, training, optimizer
              name: 5 is not text (in configs/x.json:2); put it in quotes
              model.architecture: "decodr" is not allowed (in configs/x.json:5); did you mean decoder? Allowed: decoder, encoder
              data.train.0.pth: unknown key (in configs/x.json:7); did you mean path? Known here: path, format
              data.train.0.path: missing; text is required
              data.train.1: 3 is given where an object is expected (in configs/x.json:7)
              data.train.2.format: "txt" is not allowed (in configs/x.json:7); did you mean text? Allowed: text, dotnet-docs, jsonLines
              data.validation: an object is given where a list is expected (in configs/x.json:8); list items go by index: data.validation.0
              data.weights.a: "x" is not a number (in configs/x.json:9)
              training.steps: "many" is not a whole number (from --set training.steps=many)
              training.device: "gpu" is not allowed (from --set training.device=gpu); allowed: auto, cpu, cuda
              training.deterministic: "maybe" is not true or false (from environment variable TRAINER__training__deterministic)
              training.share: 1.4 is out of range (from --set training.share=1.4); allowed: 0 to 1
              optimizer.betas: unknown key (in configs/x.json:11); known here: type, learningRate, momentum
              optimizer.learningRate: "fast" is not a number (in configs/x.json:11)
            """, workspace.Fails("x.json", overrides, environment));
    }

    [Fact]
    public void Rules_across_fields_are_asked_beside_a_key_that_nobody_knows()
    {
        workspace.Write("x.json", """
            {
              "name": "x",
              "model": { "architecture": "decoder", "layres": 3, "attention": { "heads": 6, "keyValueHeads": 4, "window": 5 } }
            }
            """);

        Assert.Equal("""
            configs/x.json: 3 problems
              model.layres: unknown key (in configs/x.json:3); did you mean layers? Known here: architecture, layers, attention, position
              model.attention.window: unknown key (in configs/x.json:3); known here: heads, keyValueHeads
              model.attention.heads: heads (6) must be a multiple of keyValueHeads (4) (in configs/x.json:3)
            """, workspace.Fails("x.json"));
    }

    [Fact]
    public void Rules_across_fields_are_asked_at_every_depth_with_the_place_of_the_value()
    {
        workspace.Write("x.json", """
            {
              "name": "x",
              "model": { "attention": {
                "heads": 6,
                "keyValueHeads": 4 } },
              "training": { "steps": 0 }
            }
            """);

        Assert.Equal("""
            configs/x.json: 2 problems
              training.steps: 0 is out of range (in configs/x.json:6); allowed: at least 1
              model.attention.heads: heads (6) must be a multiple of keyValueHeads (4) (in configs/x.json:4)
            """, workspace.Fails("x.json"));
    }

    [Fact]
    public void Rules_across_fields_wait_until_the_fields_are_sound()
    {
        workspace.Write("x.json", """{ "name": "x", "model": { "attention": { "heads": 65, "keyValueHeads": 4 } } }""");

        Assert.Equal("""
            configs/x.json: 1 problem
              model.attention.heads: 65 is out of range (in configs/x.json:1); allowed: 1 to 64
            """, workspace.Fails("x.json"));
    }

    [Theory]
    [InlineData("optimizer.betas=[0.9]", "optimizer.betas: has 1 item (from --set optimizer.betas=[0.9]); allowed: exactly 2")]
    [InlineData("optimizer.betas=[0.9,1]",
        "optimizer.betas.1: 1 is out of range (from --set optimizer.betas=[0.9,1]); allowed: at least 0 and less than 1")]
    [InlineData("model.position.theta=1",
        "model.position.theta: 1 is out of range (from --set model.position.theta=1); allowed: more than 1")]
    [InlineData("data.train=[]", "data.train: has 0 items (from --set data.train=[]); allowed: at least 1")]
    [InlineData("data.train=a.txt",
        "data.train: \"a.txt\" is given where a list is expected (from --set data.train=a.txt); list items go by index: data.train.0")]
    [InlineData("data.train.1.path=b",
        "data.train.1: there is no item 1 (from --set data.train.1.path=b); the list has 0 items, 0 appends one")]
    [InlineData("data.train.first=b",
        "data.train.first: \"first\" is not a list index (from --set data.train.first=b); items go by index, the first is 0")]
    [InlineData("optimizer.betas.00=0.5",
        "optimizer.betas.00: \"00\" is not a list index (from --set optimizer.betas.00=0.5); items go by index, the first is 0")]
    [InlineData("model.position=none",
        "model.position: \"none\" is given where an object is expected (from --set model.position=none); write model.position.type")]
    [InlineData("training.steps.0=3",
        "training.steps: an object or list is given where a whole number is expected (from --set training.steps.0=3)")]
    [InlineData("training.steps={}", "training.steps: an object is given where a whole number is expected (from --set training.steps={})")]
    [InlineData("training.samples=[null]", "training.samples.0: null is given where text is expected (from --set training.samples=[null])")]
    [InlineData("model.position={\"type\":3}",
        "model.position.type: 3 is not allowed (from --set model.position={\"type\":3}); allowed: none, rotary, learned")]
    [InlineData("model.position.scaling={}", "model.position.scaling.factor: missing; a number is required")]
    [InlineData("model.heads=3",
        "model.heads: unknown key (from --set model.heads=3); did you mean model.attention.heads? Known here: architecture, layers, " +
        "attention, position")]
    [InlineData("theta=3", "theta: unknown key (from --set theta=3); known here: name, seed, model, data, training, optimizer")]
    [InlineData("momentum=3",
        "momentum: unknown key (from --set momentum=3); did you mean optimizer.momentum? Known here: name, seed, model, data, training, " +
        "optimizer")]
    [InlineData("extend=x.json",
        "extend: unknown key (from --set extend=x.json); did you mean extends? Known here: name, seed, model, data, training, optimizer")]
    [InlineData("$schema=x.json", "$schema: $schema can only stand in a file (from --set $schema=x.json)")]
    public void One_wrong_override_is_one_problem(string text, string problem)
    {
        workspace.Write("x.json", """{ "name": "x" }""");

        Assert.Equal($"configs/x.json: 1 problem\n  {problem}", workspace.Fails("x.json", [text]));
    }

    [Theory]
    [InlineData("\"training\": null", "training: null is given where an object is expected (in configs/x.json:1)")]
    [InlineData("\"seed\": null", "seed: null is given where a whole number is expected (in configs/x.json:1)")]
    [InlineData("\"optimizer\": { \"type\": \"SGD\" }",
        "optimizer.type: \"SGD\" is not allowed (in configs/x.json:1); did you mean sgd? Allowed: adamw, sgd")]
    [InlineData("\"optimizer\": { \"Type\": \"sgd\" }",
        "optimizer.Type: unknown key (in configs/x.json:1); did you mean type? Known here: type, learningRate, momentum")]
    [InlineData("\"optimizer\": { \"type\": null }", "optimizer.type: null is not allowed (in configs/x.json:1); allowed: adamw, sgd")]
    [InlineData("\"model\": []", "model: a list is given where an object is expected (in configs/x.json:1); write model.architecture")]
    [InlineData("\"training\": { \"extends\": \"x\" }",
        "training.extends: unknown key (in configs/x.json:1); known here: steps, device, deterministic, share, samples, note")]
    public void One_wrong_member_is_one_problem(string member, string problem)
    {
        workspace.Write("x.json", $$"""{ "name": "x", {{member}} }""");

        Assert.Equal($"configs/x.json: 1 problem\n  {problem}", workspace.Fails("x.json"));
    }

    [Fact]
    public void A_variant_without_default_must_be_named()
    {
        var error = Assert.Throws<ConfigurationException>(() => ConfigurationJson.Deserialize<SamplePosition>("{}", "position.json"));

        Assert.Equal("position.json: 1 problem\n  type: missing; one of none, rotary, learned is required", error.Message);
        Assert.Equal([new Problem("type", "missing; one of none, rotary, learned is required")], error.Problems);
    }

    [Fact]
    public void An_exception_without_source_says_configuration() =>
        Assert.Equal("configuration: 1 problem\n  a: b", new ConfigurationException([new Problem("a", "b")]).Message);
}
