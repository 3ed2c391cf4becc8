using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>The verb <c>tokenizer</c>.</summary>
public sealed class TokenizerTests
{
    [Fact]
    public void What_was_learned_encodes_and_decodes()
    {
        using var workspace = new Workspace();
        var trained = workspace.Succeeds("tokenizer", "train", "small.json", "--set", "tokenizer={\"type\":\"word\"}");
        Assert.Equal("datasets/tokenizers/small/tokenizer.json: word, 9 tokens\n", trained.Output);

        var ids = workspace.Answer("\"the token\"\n\"\"\n\"a gap\"\n", "tokenizer", "encode", "datasets/tokenizers/small/tokenizer.json");
        Assert.True(ids.ExitCode == 0, ids.Error);
        Assert.Equal([2, 0, 2], ids.Output.Split('\n')[..^1].Select(line => JsonSerializer.Deserialize<int[]>(line)!.Length));

        var texts = workspace.Answer(ids.Output, "tokenizer", "decode", "datasets/tokenizers/small/tokenizer.json");
        Assert.Equal("\"the token\"\n\"\"\n\"a <unk>\"\n", texts.Output);
    }

    [Fact]
    public void Byte_pairs_bring_any_text_back()
    {
        using var workspace = new Workspace();
        var trained = workspace.Succeeds(
            "tokenizer", "train", "small.json", "--output", "bpe.json", "--set", "tokenizer={\"type\":\"bpe\",\"vocabularySize\":280}");
        Assert.EndsWith(", 280 tokens\n", trained.Output, StringComparison.Ordinal);
        const string Text = "\"the token value\\n\\u0000 é 😀\"\n";
        var ids = workspace.Answer(Text, "tokenizer", "encode", "bpe.json").Output;
        Assert.InRange(JsonSerializer.Deserialize<int[]>(ids)!.Length, 8, 15);
        Assert.Equal(
            JsonSerializer.Deserialize<string>(Text),
            JsonSerializer.Deserialize<string>(workspace.Answer(ids, "tokenizer", "decode", "bpe.json").Output));
    }

    [Fact]
    public void A_line_that_is_no_string_fails_with_its_number_after_the_lines_before_it()
    {
        using var workspace = new Workspace();
        workspace.Succeeds("tokenizer", "train", "small.json", "--output", "kept/here.json");
        var outcome = workspace.Answer("\"a\"\n[1]\n", "tokenizer", "encode", "kept/here.json");
        Assert.Equal((1, 1), (outcome.ExitCode, outcome.Output.Count(character => character == '\n')));
        Assert.Equal("line 2 is [1], not a JSON string such as \"some text\"\n", outcome.Error);
    }

    [Fact]
    public void A_missing_tokenizer_is_named_and_a_wrong_command_line_points_to_its_help()
    {
        using var workspace = new Workspace();
        var missing = workspace.Answer("", "tokenizer", "decode", "none.json");
        Assert.Equal(1, missing.ExitCode);
        Assert.StartsWith("there is no tokenizer at ", missing.Error, StringComparison.Ordinal);
        var wrong = workspace.Answer("", "tokenizer", "encode");
        Assert.Equal(2, wrong.ExitCode);
        Assert.EndsWith("See: dotnet run -- tokenizer encode --help\n", wrong.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_and_doctor_show_the_data()
    {
        using var workspace = new Workspace();
        var plan = workspace.Succeeds("plan", "small.json");
        Assert.Contains("  tokenizer                    character, ", plan.Output, StringComparison.Ordinal);
        Assert.Contains(" 1.00 bytes a token\n", plan.Output, StringComparison.Ordinal);
        Assert.Contains("  example                      \"", plan.Output, StringComparison.Ordinal);
        Assert.Contains(" from 1 file; training ", workspace.Run("doctor").Output, StringComparison.Ordinal);
    }
}
