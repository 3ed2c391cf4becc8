using System.Text.Json;
using System.Text.RegularExpressions;

namespace Trainer.Cli.Tests;

/// <summary>The verbs that write pages, over a run that train made.</summary>
public sealed partial class ReportPagesTests(TrainedModel trained)
{
    [Fact]
    public void Report_shows_what_training_recorded()
    {
        using var workspace = new Workspace();
        string[] train = ["train", "small.json", "--set", "training.steps=20"];
        workspace.Succeeds([.. train, "optimizer.learningRate=1e-3", "--run", "runs/first"]);
        workspace.Succeeds([.. train, "optimizer.learningRate=2e-3", "--run", "runs/second"]);
        var outcome = workspace.Succeeds("report", "runs/first", "runs/second");
        Assert.StartsWith("report.html: 2 runs, ", outcome.Output, StringComparison.Ordinal);
        Assert.Empty(outcome.Error);

        var data = Data(workspace.PathOf("report.html"));
        var run = data.GetProperty("runs")[0];
        Assert.Equal("first", run.GetProperty("name").GetString());
        Assert.Equal(20, run.GetProperty("curves").GetProperty("step").GetArrayLength());
        var recorded = File.ReadLines(workspace.PathOf("runs/first/metrics.jsonl")).Select(line => JsonDocument.Parse(line).RootElement)
            .Where(record => record.TryGetProperty("validationLoss", out _)).Min(
                record => record.GetProperty("validationLoss").GetDouble());
        Assert.Equal(recorded, run.GetProperty("summary").GetProperty("bestLoss").GetDouble());
        Assert.Equal("the ", run.GetProperty("samples")[0].GetProperty("texts")[0].GetProperty("prompt").GetString());
        var plan = JsonDocument.Parse(workspace.Run("plan", "small.json", "--json").Output).RootElement;
        Assert.Equal(plan.GetProperty("parameters").GetInt64(), run.GetProperty("summary").GetProperty("parameters").GetInt64());
        Assert.Equal(20 * 4 * 32, run.GetProperty("summary").GetProperty("tokens").GetInt64());
        Assert.Equal(["optimizer.learningRate"], data.GetProperty("settings").EnumerateArray()
            .Where(row => row.GetProperty("differs").GetBoolean()).Select(row => row.GetProperty("path").GetString()));
    }

    [Theory]
    [InlineData("nowhere", 1, "nowhere: there is no such run directory")]
    [InlineData(".", 1, "it is not a run directory")]
    [InlineData("text.txt", 1, "it is a file")]
    [InlineData(null, 2, "run")]
    public void Report_refuses_what_is_no_run(string? run, int exitCode, string part)
    {
        using var workspace = new Workspace();
        var outcome = workspace.Run(run is null ? ["report"] : ["report", run]);
        Assert.Equal(exitCode, outcome.ExitCode);
        Assert.Contains(part, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
        Assert.False(File.Exists(workspace.PathOf("report.html")));
    }

    [Fact]
    public void Attention_draws_every_layer_and_head_of_a_text()
    {
        using var workspace = trained.Copy();
        var outcome = workspace.Succeeds("attention", "run", "--text", "the model", "--output", "map.html", "--json", "run/attention.json");
        Assert.StartsWith("map.html: decoder: 2 layers, 9 tokens", outcome.Output, StringComparison.Ordinal);

        var stack = Data(workspace.PathOf("map.html")).GetProperty("stacks")[0];
        Assert.Equal(["t", "h", "e", "␣", "m", "o", "d", "e", "l"], stack.GetProperty("queries").EnumerateArray()
            .Select(token => token.GetString()));
        foreach (var layer in stack.GetProperty("layers").EnumerateArray())
        {
            var rows = layer.GetProperty("weights").GetBytesFromBase64().Chunk(9).ToArray();
            Assert.Equal(4 * 9, rows.Length);
            Assert.All(rows, row => Assert.Equal(1, row.Sum(value => value / 255.0 * (value / 255.0)), 0.03));
        }

        // In a run directory the map is a part of the run's report.
        workspace.Succeeds("report", "run", "--output", "report.html");
        var shown = Data(workspace.PathOf("report.html")).GetProperty("runs")[0].GetProperty("attention")[0].GetProperty("content");
        Assert.True(JsonElement.DeepEquals(stack, shown.GetProperty("stacks")[0]));

        var tooLong = workspace.Run("attention", "run", "--text", Workspace.Words(50));
        Assert.Equal(1, tooLong.ExitCode);
        Assert.Contains("the model's context holds 32", tooLong.Error, StringComparison.Ordinal);
        Assert.Equal(1, workspace.Run("attention", "run", "--text", "the", "--source", "the").ExitCode);
        Assert.Equal(2, workspace.Run("attention", "run").ExitCode);
    }

    private static JsonElement Data(string page) =>
        JsonDocument.Parse(DataElement().Match(File.ReadAllText(page)).Groups[1].Value).RootElement;

    [GeneratedRegex("""<script type="application/json" id="data">(.*?)</script>""", RegexOptions.Singleline)]
    private static partial Regex DataElement();
}
