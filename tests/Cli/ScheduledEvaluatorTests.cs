using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary>What training measured last is what <c>evaluate</c> says of the same weights.</summary>
public sealed class ScheduledEvaluatorTests
{
    [Fact]
    public void A_decoder_is_measured_alike_in_windows_longer_than_its_context()
    {
        using var workspace = new Workspace();
        Train(workspace, """{ "type": "perplexity", "every": 10, "windows": [24, 48], "stride": 24, "tokens": 90 }""");

        foreach (var window in (string[])["24", "48"])
        {
            var figures = Evaluate(workspace, "--window", window, "--stride", "24", "--tokens", "90");
            Assert.Equal(89, figures.GetProperty("tokens").GetInt64());
            var last = Last(workspace, "perplexity");
            foreach (var (name, figure) in ((string, string)[])[("perplexity", "perplexity"), ("loss", "meanLoss"),
                ("bitsPerByte", "bitsPerByte"), ("accuracy", "accuracy")])
                Assert.Equal(
                    figures.GetProperty(figure).GetDouble(), last.GetProperty($"{name}/window{window}-stride24").GetDouble());
        }
    }

    [Fact]
    public void An_encoder_is_measured_alike_on_hidden_tokens()
    {
        using var workspace = new Workspace();
        Train(
            workspace, """{ "type": "accuracy" }""", "model.architecture=encoder", "data.objective=masked", "tokenizer.type=bpe",
            "tokenizer.vocabularySize=280", "tokenizer.specialTokens.0=[MASK]", "model.contextLength=16");

        var (figures, last) = (Evaluate(workspace), Last(workspace, "accuracy"));
        Assert.Equal(figures.GetProperty("accuracy").GetDouble(), last.GetProperty("accuracy").GetDouble());
        Assert.Equal(figures.GetProperty("topAccuracy").GetDouble(), last.GetProperty("accuracyInTop5").GetDouble());
        Assert.Equal(figures.GetProperty("meanLoss").GetDouble(), last.GetProperty("loss").GetDouble());
    }

    [Fact]
    public void An_encoder_decoder_is_measured_alike_on_translations()
    {
        using var workspace = new Workspace();
        File.WriteAllLines(workspace.PathOf("pairs.jsonl"), Enumerable.Range(0, 80).Select(i => $$"""{"from": "{{Workspace.Words(3 + i % 4)}}", "to": "{{Workspace.Words(2 + i % 3)}}"}"""));
        Train(
            workspace, """{ "type": "translation", "pairs": 6, "beams": 2 }, { "type": "accuracy" }""",
            "model.architecture=encoder-decoder", "data.objective=sequence-to-sequence",
            "data.train.0.path=pairs.jsonl", "data.train.0.column=from", "data.train.0.targetColumn=to", "tokenizer.type=bpe",
            "tokenizer.vocabularySize=280", "tokenizer.specialTokens.0=<s>", "tokenizer.specialTokens.1=</s>");

        var figures = Evaluate(workspace, "--translate", "6", "--beams", "2");
        Assert.Equal(
            figures.GetProperty("translation").GetProperty("bleu").GetProperty("score").GetDouble(),
            Last(workspace, "translation").GetProperty("bleu/beams2").GetDouble());
        Assert.Equal(figures.GetProperty("perplexity").GetDouble(), Last(workspace, "accuracy").GetProperty("perplexity").GetDouble());
        Assert.Contains("\n→ ", File.ReadAllText(Directory.EnumerateFiles(workspace.PathOf("run/samples")).Single()),
            StringComparison.Ordinal);
        Assert.Contains("BLEU|", File.ReadAllText(workspace.PathOf("run/log.txt")), StringComparison.Ordinal);
    }

    private static void Train(Workspace workspace, string measures, params string[] settings)
    {
        File.WriteAllText(workspace.PathOf("measured.json"), $$"""{ "extends": "small.json", "evaluation": { "every": 0, "measures": [ {{measures}} ] } }""");
        workspace.Succeeds(
            ["train", "measured.json", "--run", "run", "--set", "training.steps=12", "monitoring.samples=[]", .. settings]);
    }

    private static JsonElement Evaluate(Workspace workspace, params string[] arguments)
    {
        workspace.Succeeds(["evaluate", "run/checkpoints/last", "--json", "figures.json", .. arguments]);
        return JsonDocument.Parse(File.ReadAllText(workspace.PathOf("figures.json"))).RootElement;
    }

    private static JsonElement Last(Workspace workspace, string measure) => File.ReadLines(workspace.PathOf("run/metrics.jsonl"))
        .Select(line => JsonDocument.Parse(line).RootElement)
        .Last(record => record.TryGetProperty("evaluation", out var name) && name.GetString() == measure).GetProperty("figures");
}
