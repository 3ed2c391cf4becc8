using System.Text.Json;
using Trainer.Checkpoints;

namespace Trainer.Cli.Tests;

/// <summary><c>score</c> as a user runs it.</summary>
public sealed class ScoreTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Fact]
    public void Each_token_has_its_score_and_the_logits_say_the_same()
    {
        workspace.Succeeds("score", "run", "--tokens", "3,1,4,1,5", "--json", "scores.json", "--logits", "logits.safetensors");
        using var json = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("scores.json")));

        int[] tokens = [.. json.RootElement.GetProperty("tokens").EnumerateArray().Select(token => token.GetInt32())];
        JsonElement[] losses = [.. json.RootElement.GetProperty("negativeLogLikelihood").EnumerateArray()];
        Assert.Equal(["tokens", "negativeLogLikelihood"], json.RootElement.EnumerateObject().Select(property => property.Name));
        Assert.Equal([3, 1, 4, 1, 5], tokens);
        Assert.Equal(JsonValueKind.Null, losses[0].ValueKind);

        var (logits, vocabulary) = Logits("logits.safetensors", tokens.Length);
        for (var i = 1; i < tokens.Length; i++)
        {
            var row = logits.AsSpan((i - 1) * vocabulary, vocabulary).ToArray();
            var expected = Math.Log(row.Sum(logit => Math.Exp(logit))) - row[tokens[i]];
            Assert.Equal(expected, losses[i].GetDouble(), 1e-4);
        }
    }

    [Fact]
    public void Text_tokens_and_a_file_are_scored_alike()
    {
        File.WriteAllText(workspace.PathOf("short.txt"), "the read");
        var text = Scores("--text", "the read");
        Assert.Equal(8, text.GetProperty("tokens").GetArrayLength());
        var ids = string.Join(',', text.GetProperty("tokens").EnumerateArray().Select(token => token.GetRawText()));
        Assert.Equal(text.GetRawText(), Scores("--tokens", ids).GetRawText());
        Assert.Equal(text.GetRawText(), Scores("--data", "short.txt").GetRawText());

        JsonElement Scores(params string[] what)
        {
            workspace.Succeeds(["score", "run", "--json", "alike.json", .. what]);
            return JsonDocument.Parse(File.ReadAllText(workspace.PathOf("alike.json"))).RootElement;
        }
    }

    [Fact]
    public void Missing_folders_of_a_file_are_made()
    {
        workspace.Succeeds("score", "run", "--text", "the", "--json", "missing/folder/scores.json");
        Assert.True(File.Exists(workspace.PathOf("missing/folder/scores.json")));
    }

    [Fact]
    public void A_table_has_a_row_for_each_token_of_each_document()
    {
        File.WriteAllText(workspace.PathOf("documents.jsonl"), "{\"text\":\"the read\"}\n{\"text\":null}\n{\"text\":\"the\"}\n");
        var outcome = workspace.Succeeds("score", "run", "--data", "documents.jsonl", "--output", "scores.parquet");
        Assert.StartsWith("scores.parquet: 2 documents, 11 tokens, 9 scored: ", outcome.Output, StringComparison.Ordinal);
        using var file = new ParquetSharp.ParquetFileReader(workspace.PathOf("scores.parquet"));
        using var group = file.RowGroup(0);
        Assert.Equal(
            ["document", "position", "token", "text", "negativeLogLikelihood"],
            Enumerable.Range(0, 5).Select(column => file.FileMetaData.Schema.Column(column).Name));
        Assert.Equal([1, 1, 1, 1, 1, 1, 1, 1, 3, 3, 3], Column<long?>(0));
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2], Column<long?>(1));
        Assert.Equal("the readthe", string.Concat(Column<string>(3)));

        workspace.Succeeds("score", "run", "--text", "the read", "--json", "read.json");
        using var json = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("read.json")));
        Assert.Equal(
            json.RootElement.GetProperty("tokens").EnumerateArray().Select(token => (long?)token.GetInt64()), Column<long?>(2).Take(8));
        Assert.Equal(
            json.RootElement.GetProperty("negativeLogLikelihood").EnumerateArray().Select(
                loss => loss.ValueKind == JsonValueKind.Null ? (double?)null : loss.GetDouble()),
            Column<double?>(4).Take(8));

        T[] Column<T>(int index)
        {
            using var reader = group.Column(index).LogicalReader<T>();
            return reader.ReadAll((int)group.MetaData.NumRows);
        }
    }

    [Theory]
    [InlineData("--output is \"scores.csv\", but a table is written as Parquet: let its name end in .parquet.", "--output", "scores.csv")]
    [InlineData("--output scores documents, --json and --logits one text: give one of them.", "--output", "scores.parquet", "--json",
        "scores.json")]
    public void A_table_that_cannot_be_is_an_error(string message, params string[] arguments)
    {
        var outcome = workspace.Run(["score", "run", "--text", "the", .. arguments]);
        Assert.Equal(2, outcome.ExitCode);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_file_every_token_is_printed()
    {
        var lines = workspace.Run("score", "run", "--text", "the").Output.TrimEnd().Split('\n');
        Assert.Equal(4, lines.Length);
        Assert.EndsWith("-  \"t\"", lines[0], StringComparison.Ordinal);
        Assert.EndsWith("\"h\"", lines[1], StringComparison.Ordinal);
        Assert.StartsWith("3 tokens, 2 scored: ", lines[3], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "score needs one of --text, --tokens and --data")]
    [InlineData(2, "score needs one of --text, --tokens and --data", "--text", "the", "--tokens", "1")]
    [InlineData(2, "--tokens: entry 1 is \"1000\"; give token ids from 0 to ", "--tokens", "1,1000")]
    [InlineData(2, "--tokens: entry 0 is \"-1\"; give token ids from 0 to ", "--tokens=-1")]
    [InlineData(2, "--tokens: entry 2 is \"\"; give token ids from 0 to ", "--tokens", "1,2,")]
    [InlineData(1, "Ω", "--text", "the Ω")]
    [InlineData(1, "there is nothing to score: the text has no tokens", "--text", "")]
    [InlineData(1, "nowhere.txt", "--data", "nowhere.txt")]
    [InlineData(1, "a source is for encoder-decoders", "--text", "the", "--source-tokens", "1")]
    [InlineData(2, "--source and --source-tokens say the same thing", "--text", "the", "--source-tokens", "1", "--source", "the")]
    public void What_cannot_be_scored_is_refused_with_the_reason(int exitCode, string message, params string[] arguments) =>
        BadInputTests.Fails(workspace.Run(["score", "run", .. arguments]), exitCode, message);

    private (float[] Values, int Vocabulary) Logits(string file, int tokens)
    {
        using var opened = SafetensorsFile.Open(workspace.PathOf(file));
        Assert.Equal(["logits"], opened.Names);
        using var values = opened.Read("logits");
        Assert.Equal((2, tokens), (values.dim(), (int)values.shape[0]));
        return (values.data<float>().ToArray(), (int)values.shape[1]);
    }
}
