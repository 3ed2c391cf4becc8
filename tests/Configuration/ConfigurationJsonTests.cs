using FsCheck;
using FsCheck.Fluent;

namespace Trainer.Configuration.Tests;

public sealed class ConfigurationJsonTests
{
    [Fact]
    public void A_resolved_configuration_shows_every_value_and_names_variants_first()
    {
        var recipe = new SampleRecipe
        {
            Name = "größer <1>",
            Model = new SampleDecoder { Position = new SampleRotary { Scaling = new SampleScaling { Factor = 4 } } },
            Data = new SampleData { Train = [new() { Path = "a.txt" }], Weights = new Dictionary<string, double> { ["de"] = 0.5 } },
        };

        Assert.Equal("""
            {
              "name": "größer <1>",
              "seed": 1337,
              "model": {
                "architecture": "decoder",
                "layers": 6,
                "attention": {
                  "heads": 6
                },
                "position": {
                  "type": "rotary",
                  "theta": 10000,
                  "scaling": {
                    "factor": 4
                  }
                }
              },
              "data": {
                "train": [
                  {
                    "path": "a.txt",
                    "format": "text"
                  }
                ],
                "weights": {
                  "de": 0.5
                }
              },
              "training": {
                "steps": 5000,
                "device": "auto",
                "deterministic": true,
                "share": 0.1,
                "samples": []
              },
              "optimizer": {
                "type": "adamw",
                "learningRate": 0.001,
                "betas": [
                  0.9,
                  0.95
                ]
              }
            }
            """, ConfigurationJson.Serialize(recipe));
    }

    [Fact]
    public void What_is_written_is_read_back()
    {
        var recipes =
            from name in Gen.Elements("a", "null", "", "[1]", "\"quoted\"", "{}")
            from note in Gen.Elements(null, "null", "note")
            from heads in Gen.Choose(1, 64)
            from position in Gen.Elements<SamplePosition>(
                new SampleNoPosition(), new SampleRotary(), new SampleRotary { Theta = 1.1, Scaling = new() { Factor = 1e-9 } },
                new SampleLearned { Scaling = 3 })
            from model in Gen.Elements<SampleModel>(
                new SampleEncoder { Layers = 2 },
                new SampleDecoder { Attention = new() { Heads = heads, KeyValueHeads = heads }, Position = position })
            from paths in Gen.ListOf(Gen.Elements("x", "y"))
            from validate in Gen.Elements(true, false)
            select new SampleRecipe
            {
                Name = name,
                Model = model,
                Training = new() { Note = note, Samples = [.. paths] },
                Optimizer = validate ? new SampleSgd { Momentum = heads } : new SampleAdam { Betas = [0.5, 0.25] },
                Data = new()
                {
                    Train = [new() { Path = "t" }, .. paths.Select(path => new SampleSource { Path = path })],
                    Validation = validate ? [] : null,
                    Weights = paths.Distinct().ToDictionary(path => path, path => 1.5),
                },
            };

        Prop.ForAll(recipes.ToArbitrary(), recipe =>
        {
            var written = ConfigurationJson.Serialize(recipe);
            var read = ConfigurationJson.Deserialize<SampleRecipe>(written, "config.json");
            Assert.Equal(written, ConfigurationJson.Serialize(read));
            return recipe.Model == read.Model && recipe.Name == read.Name && recipe.Training.Note == read.Training.Note;
        }).QuickCheckThrowOnFailure();
    }

    public sealed record Outer
    {
        public Inner Inner { get; init; } = new() { Note = "by default", Weights = new Dictionary<string, double> { ["a"] = 1 } };
    }

    public sealed record Inner
    {
        public string? Note { get; init; }

        public IReadOnlyDictionary<string, double> Weights { get; init; } = new Dictionary<string, double>();
    }

    [Fact]
    public void A_null_is_written_where_the_enclosing_default_is_something_else()
    {
        var outer = new Outer { Inner = new() { Note = null, Weights = new Dictionary<string, double> { ["b"] = 2 } } };

        var read = ConfigurationJson.Deserialize<Outer>(ConfigurationJson.Serialize(outer), "x.json");

        Assert.Null(read.Inner.Note);
        Assert.Equal(outer.Inner.Weights, read.Inner.Weights);
    }

    [Fact]
    public void A_closed_hierarchy_can_be_the_root()
    {
        SamplePosition position = new SampleLearned { Scaling = 2 };

        var written = ConfigurationJson.Serialize(position);

        Assert.Equal("{\n  \"type\": \"learned\",\n  \"scaling\": 2\n}", written);
        Assert.Equal(position, ConfigurationJson.Deserialize<SamplePosition>(written, "x.json"));
    }

    [Fact]
    public void A_resolved_configuration_extends_nothing()
    {
        var error = Assert.Throws<ConfigurationException>(
            () => ConfigurationJson.Deserialize<SampleRecipe>("""{ "name": "x", "extends": "y.json" }""", "step-1/config.json"));

        Assert.Equal("""
            step-1/config.json: 1 problem
              extends: a resolved configuration extends nothing (in step-1/config.json:1); remove it
            """, error.Message);
    }

    [Fact]
    public void Damaged_text_is_reported_with_its_source()
    {
        var error = Assert.Throws<ConfigurationException>(
            () => ConfigurationJson.Deserialize<SampleRecipe>("{\n\"name\" 3}", "config.json"));

        Assert.Equal("config.json: 1 problem\n  not valid JSON at config.json:2:8: '3' is invalid after a property name. Expected a ':'",
            error.Message);
    }

    public sealed record Unsupported
    {
        public TimeSpan Time { get; init; }
    }

    [Fact]
    public void A_type_the_binder_does_not_know_is_a_mistake_of_the_program() =>
        Assert.Throws<InvalidOperationException>(() => ConfigurationJson.Deserialize<Unsupported>("""{ "time": {} }""", "x.json"));
}
