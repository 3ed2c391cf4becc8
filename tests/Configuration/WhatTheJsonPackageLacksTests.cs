using System.Text;
using Microsoft.Extensions.Configuration;

namespace Trainer.Configuration.Tests;

/// <summary>Why recipes are not read by Microsoft.Extensions.Configuration.Json: each test shows what its provider (or the binder, or the
/// provider of environment variables) makes of an input, and what the loader says instead. Should one of them fail after
/// an update, the library has learnt it, and code of src/Configuration can go.</summary>
public sealed class WhatTheJsonPackageLacksTests : IDisposable
{
    private readonly Workspace workspace = new();

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void It_keeps_text_only_and_cannot_tell_a_number_from_a_string()
    {
        var json = Library("""{ "number": 8, "text": "8", "truth": true, "word": "True" }""");

        Assert.Equal((json["number"], json["truth"]), (json["text"], json["word"]));
        Assert.Equal("""
            configs/x.json: 1 problem
              name: 8 is not text (in configs/x.json:1); put it in quotes
            """, Loader("""{ "name": 8 }"""));
    }

    [Fact]
    public void It_cannot_tell_null_from_an_empty_object_or_an_empty_list_from_empty_text()
    {
        var json = Library("""{ "null": null, "object": {}, "list": [], "text": "" }""");

        Assert.Equal((null, "", null, ""), (json["null"], json["list"], json["object"], json["text"]));
        Assert.Equal("""
            configs/x.json: 2 problems
              training: null is given where an object is expected (in configs/x.json:1)
              optimizer.betas: "" is given where a list is expected (in configs/x.json:1); list items go by index: optimizer.betas.0
            """, Loader("""{ "name": "a", "training": null, "optimizer": { "betas": "" } }"""));
    }

    [Fact]
    public void It_forgets_the_line_of_what_it_read()
    {
        var path = workspace.Write("x.json", """
            {
              "name": "a",
              "training": { "steps": 0 }
            }
            """);
        var library = new ConfigurationBuilder().AddJsonFile(path).Build();

        Assert.Contains("steps=0 (JsonConfigurationProvider for 'x.json' (Required))", library.GetDebugView());
        Assert.Equal("""
            configs/x.json: 1 problem
              training.steps: 0 is out of range (in configs/x.json:3); allowed: at least 1
            """, workspace.Fails("x.json"));
    }

    [Fact]
    public void It_ends_at_the_first_duplicate_key_and_names_no_line()
    {
        var json = """
            {
              "name": "a", "name": "b",
              "seed": 1, "Seed": 2
            }
            """;

        Assert.Equal("A duplicate key 'name' was found.", Assert.Throws<FormatException>(() => Library(json)).Message);
        Assert.Equal("""
            configs/x.json: 2 problems
              name: given twice (in configs/x.json:2 and in configs/x.json:2); keep one (keys that differ only in case are the same)
              Seed: given twice (in configs/x.json:3 and in configs/x.json:3); keep one (keys that differ only in case are the same)
            """, Loader(json));
    }

    [Fact]
    public void It_merges_an_object_that_is_given_twice_without_a_word()
    {
        var json = """{ "name": "a", "training": { "steps": 1 }, "training": { "share": 0.5 } }""";

        Assert.Equal(("1", "0.5"), (Library(json)["training:steps"], Library(json)["training:share"]));
        Assert.Contains("training: given twice", Loader(json));
    }

    [Fact]
    public void It_takes_a_colon_in_a_key_for_a_path()
    {
        var json = """{ "name": "a", "training:steps": 7 }""";

        Assert.Equal("7", Library(json)["training:steps"]);
        Assert.Contains("\"training:steps\" cannot be a key (in configs/x.json:1)", Loader(json));
    }

    [Fact]
    public void It_replaces_bytes_that_are_no_text()
    {
        byte[] bytes = [.. "{ \"name\": \""u8, 0xFF, .. "\" }"u8];
        File.WriteAllBytes(workspace.PathOf("x.json"), bytes);

        Assert.Equal("\uFFFD", new ConfigurationBuilder().AddJsonStream(new MemoryStream(bytes)).Build()["name"]);
        Assert.Contains("configs/x.json is not valid UTF-8 text", workspace.Fails("x.json"));
    }

    [Fact]
    public void It_merges_lists_item_by_item()
    {
        var layers = new ConfigurationBuilder()
            .AddJsonStream(Stream("""{ "samples": ["a", "b", "c"] }"""))
            .AddJsonStream(Stream("""{ "samples": ["x"] }"""))
            .Build();
        workspace.Write("base.json", """{ "name": "a", "training": { "samples": ["a", "b", "c"] } }""");
        workspace.Write("x.json", """{ "extends": "base.json", "training": { "samples": ["x"] } }""");

        Assert.Equal(["x", "b", "c"], layers.GetSection("samples").GetChildren().Select(item => item.Value));
        Assert.Equal(["x"], workspace.Load("x.json").Value.Training.Samples);
    }

    [Fact]
    public void Its_binder_ends_at_the_first_fault_and_names_no_file()
    {
        var json = """{ "name": "a", "training": { "steps": "many", "share": "some", "devise": "cpu" } }""";
        var error = Assert.Throws<InvalidOperationException>(
            () => Library(json).GetSection("training").Get<SampleTraining>(options => options.ErrorOnUnknownConfiguration = true));

        Assert.Equal("'ErrorOnUnknownConfiguration' was set on the provided BinderOptions, but the following properties were not found " +
            "on the instance of "
            + $"{typeof(SampleTraining)}: 'devise'", error.Message);
        Assert.Equal("""
            configs/x.json: 3 problems
              training.devise: unknown key (in configs/x.json:1); did you mean device? Known here: steps, device, deterministic, share, samples, note
              training.steps: "many" is not a whole number (in configs/x.json:1)
              training.share: "some" is not a number (in configs/x.json:1)
            """, Loader(json));
    }

    [Fact]
    public void Its_binder_knows_no_variants_and_no_names_of_choices_in_JSON()
    {
        Assert.Contains("abstract", Assert.Throws<InvalidOperationException>(
            () => Library("""{ "optimizer": { "type": "sgd", "momentum": 0.9 } }""").GetSection("optimizer").Get<SampleOptimizer>()).Message);
        Assert.Throws<InvalidOperationException>(() => Library("""{ "path": "a", "format": "dotnet-docs" }""").Get<SampleSource>());

        workspace.Write("x.json", """{ "name": "a", "optimizer": { "type": "sgd", "momentum": 0.9 }, "data": { "train": [{ "path": "a", "format": "dotnet-docs" }] } }""");
        var recipe = workspace.Load("x.json").Value;
        Assert.Equal(0.9, Assert.IsType<SampleSgd>(recipe.Optimizer).Momentum);
        Assert.Equal(SampleFormat.DotnetDocs, recipe.Data.Train[0].Format);
    }

    [Fact]
    public void Its_environment_variables_hold_no_lists_and_are_not_named_in_errors()
    {
        const string name = "TRAINER__optimizer__betas";
        const string own = "LIBRARY__optimizer__betas"; // other tests read TRAINER__ from this process
        Environment.SetEnvironmentVariable(own, "[0.8, 0.9]");
        try
        {
            var library = new ConfigurationBuilder().AddEnvironmentVariables("LIBRARY__").Build();
            Assert.Equal("[0.8, 0.9]", library["optimizer:betas"]);
            Assert.Empty(library.GetSection("optimizer:betas").GetChildren());
            Assert.Contains("betas=[0.8, 0.9] (EnvironmentVariablesConfigurationProvider Prefix: 'LIBRARY__')", library.GetDebugView());
        }
        finally
        {
            Environment.SetEnvironmentVariable(own, null);
        }
        workspace.Write("x.json", """{ "name": "a" }""");

        Assert.Equal([0.8, 0.9], Assert.IsType<SampleAdam>(ConfigurationLoader.Load<SampleRecipe>(
            workspace.PathOf("x.json"), [], new Dictionary<string, string> { [name] = "[0.8, 0.9]" }).Value.Optimizer).Betas);
        Assert.Equal($"""
            configs/x.json: 1 problem
              optimizer.betas: "0.8" is given where a list is expected (from environment variable {name}); list items go by index: optimizer.betas.0
            """, workspace.Fails("x.json", environment: new() { [name] = "0.8" }));
    }

    private string Loader(string json)
    {
        workspace.Write("x.json", json);
        return workspace.Fails("x.json");
    }

    private static IConfigurationRoot Library(string json) => new ConfigurationBuilder().AddJsonStream(Stream(json)).Build();

    private static MemoryStream Stream(string json) => new(Encoding.UTF8.GetBytes(json));
}
