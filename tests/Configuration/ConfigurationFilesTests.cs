namespace Trainer.Configuration.Tests;

public sealed class ConfigurationFilesTests : IDisposable
{
    private readonly Workspace workspace = new();

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void A_missing_file_is_reported_with_the_nearest_one()
    {
        workspace.Write("shakespeare.json", "{}");

        Assert.Equal("""
            configs/shakespare.json: 1 problem
              the file configs/shakespare.json does not exist; did you mean shakespeare.json?
            """, workspace.Fails("shakespare.json"));
    }

    [Fact]
    public void A_missing_base_is_reported_where_it_is_named()
    {
        workspace.Write("base.json", "{}");
        workspace.Write("x.json", """
            {
              "extends": "bse.json"
            }
            """);

        Assert.Equal("""
            configs/x.json: 1 problem
              extends: "bse.json" does not exist (in configs/x.json:2): no file configs/bse.json; did you mean base.json?
            """, workspace.Fails("x.json"));
    }

    [Fact]
    public void A_circle_is_shown_whole()
    {
        workspace.Write("a.json", """{ "extends": "sub/b.json" }""");
        workspace.Write("sub/b.json", """{ "extends": "../c.json" }""");
        workspace.Write("c.json", """{ "extends": "sub/b.json" }""");

        Assert.Equal("""
            configs/a.json: 1 problem
              extends: goes round in a circle: configs/sub/b.json → configs/c.json → configs/sub/b.json (in configs/c.json:1); remove one of them
            """, workspace.Fails("a.json"));
    }

    [Fact]
    public void A_file_may_not_extend_itself()
    {
        workspace.Write("a.json", """{ "extends": "a.json" }""");

        Assert.Equal("""
            configs/a.json: 1 problem
              extends: goes round in a circle: configs/a.json → configs/a.json (in configs/a.json:1); remove one of them
            """, workspace.Fails("a.json"));
    }

    [Fact]
    public void A_base_without_a_name_is_a_problem_of_the_file_also_in_the_current_folder()
    {
        workspace.Write("x.json", """{ "extends": "" }""");
        var relative = Path.GetRelativePath(".", workspace.PathOf("x.json"));
        File.Copy(workspace.PathOf("x.json"), "extends-nothing.json", overwrite: true);

        foreach (var file in (string[])[relative, "extends-nothing.json"])
        {
            var problem = Assert.Single(Assert.Throws<ConfigurationException>(() =>
                ConfigurationLoader.Load<SampleRecipe>(file, [], new Dictionary<string, string>())).Problems);
            Assert.Equal("extends", problem.Path);
            Assert.Equal($"\"\" is no name of a file (in {file}:1); name one, or leave it out", problem.Message);
        }
        File.Delete("extends-nothing.json");
    }

    [Fact]
    public void Files_named_relative_stay_relative()
    {
        workspace.Write("sub/base.json", """{ "name": "b" }""");
        workspace.Write("x.json", """{ "extends": "./sub/../sub/base.json" }""");
        var relative = Path.GetRelativePath(".", workspace.PathOf("x.json"));

        var loaded = ConfigurationLoader.Load<SampleRecipe>(relative, [], new Dictionary<string, string>());

        Assert.Equal([Path.Combine(Path.GetDirectoryName(relative)!, "sub/base.json"), relative], loaded.SourceFiles);
    }

    [Fact]
    public void A_syntax_error_has_line_and_column_in_characters()
    {
        workspace.Write("x.json", """
            {
              "name": "ä ö ü" "seed": 3
            }
            """);

        Assert.Equal("""
            configs/x.json: 1 problem
              not valid JSON at configs/x.json:2:19: '"' is invalid after a value. Expected either ',', '}', or ']'
            """, workspace.Fails("x.json"));
    }

    [Fact]
    public void A_file_cut_short_is_a_syntax_error_and_overrides_are_still_checked()
    {
        workspace.Write("x.json", """{ "name": """);

        Assert.Equal("""
            configs/x.json: 2 problems
              not valid JSON at configs/x.json:1:11: Expected depth to be zero at the end of the JSON payload. There is an open JSON object or array that should be closed
              --set "training.steps" has no "="; write --set path=value, such as --set training.steps=100
            """, workspace.Fails("x.json", ["training.steps"]));
    }

    [Theory]
    [InlineData("", "configs/x.json is empty; it must hold one object, at least {}")]
    [InlineData(" \n", "configs/x.json is empty; it must hold one object, at least {}")]
    [InlineData("[]", "a list is given where one object is expected (in configs/x.json:1)")]
    [InlineData("{} {}", "not valid JSON at configs/x.json:1:4: '{' is invalid after a single JSON value. Expected end of data")]
    [InlineData("""{ "extends": ["a.json"] }""", "extends: a list is given where the name of one file is expected (in configs/x.json:1)")]
    public void A_file_that_holds_no_object_is_refused(string content, string problem)
    {
        workspace.Write("x.json", content);

        Assert.Equal($"configs/x.json: 1 problem\n  {problem}", workspace.Fails("x.json"));
    }

    [Fact]
    public void A_file_that_is_no_UTF8_is_refused()
    {
        File.WriteAllBytes(workspace.PathOf("x.json"), [.. "{\"name\": \""u8, 0xFF, 0xFE, .. "\"}"u8]);

        Assert.StartsWith("configs/x.json: 1 problem\n  configs/x.json is not valid UTF-8 text", workspace.Fails("x.json"));
    }

    [Fact]
    public void A_byte_order_mark_is_skipped()
    {
        File.WriteAllText(workspace.PathOf("x.json"), """{ "name": "ä" }""", new System.Text.UTF8Encoding(true));

        Assert.Equal("ä", workspace.Load("x.json").Value.Name);
    }

    [Fact]
    public void Keys_given_twice_are_reported_together_with_everything_else()
    {
        workspace.Write("x.json", """
            {
              "training": { "steps": 1, "stps": 2,
                            "Steps": 3 },
              "a:b": 3
            }
            """);

        Assert.Equal("""
            configs/x.json: 4 problems
              training.Steps: given twice (in configs/x.json:2 and in configs/x.json:3); keep one (keys that differ only in case are the same)
              a.b: "a:b" cannot be a key (in configs/x.json:4); keys are not empty and hold no colon
              name: missing; text is required
              training.stps: unknown key (in configs/x.json:2); did you mean steps? Known here: steps, device, deterministic, share, samples, note
            """, workspace.Fails("x.json"));
    }
}
