using System.Text.Json.Nodes;

namespace Trainer.Cli.Tests;

/// <summary><c>generate</c> as a user runs it.</summary>
public sealed class GenerateTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Fact]
    public void A_prompt_begins_as_tokenizer_json_says_unless_bos_says_otherwise()
    {
        Import("framed", """
            {"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<1>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"<2>","type_id":0}}],
             "pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],
             "special_tokens":{"<1>":{"id":"<1>","ids":[1],"tokens":["<1>"]},"<2>":{"id":"<2>","ids":[2],"tokens":["<2>"]}}}
            """);
        Import("plain", "null");
        string own = Continues("framed", "the prompt begins with <1>; --bos none leaves it out"), without = Continues("plain", "");
        Assert.NotEqual(own, without);
        Assert.StartsWith("<5> <6> <", own);
        Assert.Equal(without, Continues("framed", "", "--bos", "none"));
        Assert.Equal(own, Continues("plain", "the prompt begins with <1>; --bos none leaves it out", "--bos", "<1>"));
        Assert.Equal(own, Continues("plain", "the prompt begins with <1>; --bos none leaves it out", "--bos", "1"));
        // Beams begin in the same way; one is greedy.
        Assert.Equal(own, workspace.Succeeds("generate", "framed", "--prompt", "<5> <6>", "--tokens", "12", "--beams", "1").Output);
        BadInputTests.Fails(workspace.Run("generate", "plain", "--prompt", "<5>", "--bos", "<s>"), 2,
            "--bos: \"<s>\" is no token of this tokenizer (");
    }

    [Theory]
    [InlineData("bfloat16")]
    [InlineData("int8")]
    public void Matrices_of_fewer_bits_write_as_much_and_float32_ones_the_same(string precision)
    {
        string exact = Text(), rounded = Text("--precision", precision);
        Assert.StartsWith("the ", rounded);
        Assert.Equal(exact.Length, rounded.Length);
        Assert.Equal(exact, Text("--precision", "float32"));

        string Text(params string[] more) =>
            workspace.Succeeds(["generate", "run", "--prompt", "the ", "--tokens", "40", "--seed", "3", .. more]).Output;
    }

    [Fact]
    public void A_precision_that_no_matrix_has_is_refused() =>
        BadInputTests.Fails(workspace.Run("generate", "run", "--prompt", "the ", "--precision", "tf32"), 2,
            "Cannot parse argument 'tf32' for option '--precision'");

    [Theory]
    [InlineData("--length-penalty: is for --beams", "--length-penalty", "2")]
    [InlineData("--beams searches the most likely text, --seed would draw one", "--beams", "2", "--seed", "3")]
    public void Options_of_another_way_to_choose_tokens_are_refused(string part, params string[] options) =>
        BadInputTests.Fails(workspace.Run(["generate", "run", "--prompt", "the ", .. options]), 2, part);

    private string Continues(string checkpoint, string told, params string[] bos)
    {
        var outcome = workspace.Succeeds(["generate", checkpoint, "--prompt", "<5> <6>", "--tokens", "12", "--greedy", .. bos]);
        Assert.Equal(told, outcome.Error.Trim());
        return outcome.Output;
    }

    /// <summary>The llama of the fixtures, whose tokens are ids, with this post-processor.</summary>
    private void Import(string name, string processor)
    {
        Directory.CreateDirectory(workspace.PathOf($"{name}-theirs"));
        foreach (string file in (string[])["config.json", "model.safetensors"])
            File.Copy(Path.Combine(Command.Repository, "tests/Checkpoints/Fixtures/llama", file),
                workspace.PathOf($"{name}-theirs/{file}"));
        JsonObject vocabulary = [.. Enumerable.Range(0, 40).Select(id => KeyValuePair.Create($"<{id}>", (JsonNode?)id))];
        JsonObject tokenizer = new()
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject { ["type"] = "WhitespaceSplit" },
            ["post_processor"] = JsonNode.Parse(processor),
            ["decoder"] = null,
            ["model"] = new JsonObject { ["type"] = "WordLevel", ["vocab"] = vocabulary, ["unk_token"] = "<0>" },
        };
        File.WriteAllText(workspace.PathOf($"{name}-theirs/tokenizer.json"), tokenizer.ToJsonString());
        workspace.Succeeds("import", $"{name}-theirs", "--output", name);
    }
}
