using System.Text.Json;

namespace Trainer.Cli.Tests;

/// <summary><c>evaluate</c> and <c>score</c> on models that do not continue texts.</summary>
public sealed class EvaluateArchitecturesTests
{
    private static readonly string[] Encoder =
    [
        "--set", "model.architecture=encoder", "data.objective=masked", "tokenizer.type=bpe", "tokenizer.vocabularySize=280",
        "tokenizer.specialTokens.0=[MASK]", "training.steps=2", "monitoring.samples=[]", "model.contextLength=16",
    ];

    [Fact]
    public void An_encoder_is_measured_on_hidden_tokens()
    {
        using var workspace = new Workspace();
        workspace.Succeeds(["train", "small.json", "--run", "run", .. Encoder]);

        workspace.Succeeds("evaluate", "run", "--json", "figures.json");
        var figures = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("figures.json"))).RootElement;
        Assert.Equal("masked", figures.GetProperty("scored").GetString());
        Assert.Equal(16, figures.GetProperty("window").GetInt32());
        Assert.Equal(Math.Exp(figures.GetProperty("negativeLogLikelihood").GetDouble() / figures.GetProperty("tokens").GetInt64()),
            figures.GetProperty("perplexity").GetDouble(), 1e-6);
        Assert.InRange(figures.GetProperty("topAccuracy").GetDouble(), figures.GetProperty("accuracy").GetDouble(), 1);

        File.WriteAllText(workspace.PathOf("own.txt"), Workspace.Words(100));
        workspace.Succeeds("evaluate", "run", "--data", "own.txt");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--window", "8", "--bos", "1"), 2,
            "command line: 2 problems\n  --window: is for decoders; this model is measured on rows as it was trained on them, each " +
                "token once: leave it out\n  --bos: is for decoders");

        workspace.Succeeds(
            "score", "run", "--text", "the model", "--json", "scores.json", "--logits", "logits.safetensors");
        var scores = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("scores.json"))).RootElement.GetProperty("negativeLogLikelihood");
        Assert.All(scores.EnumerateArray(), score => Assert.True(score.GetDouble() > 0));
    }

    [Fact]
    public void An_encoder_decoder_is_measured_on_the_texts_it_has_to_write()
    {
        using var workspace = new Workspace();
        File.WriteAllLines(workspace.PathOf("pairs.jsonl"), Enumerable.Range(0, 60).Select(i => $$"""{"from": "{{Workspace.Words(3 + i % 4)}}", "to": "{{new string([.. Workspace.Words(2 + i % 3).Reverse()])}}"}"""));
        workspace.Succeeds(
            "train", "small.json", "--run", "run", "--set", "model.architecture=encoder-decoder", "data.objective=sequence-to-sequence",
            "data.train.0.path=pairs.jsonl", "data.train.0.column=from", "data.train.0.targetColumn=to", "tokenizer.type=bpe",
            "tokenizer.vocabularySize=280", "tokenizer.specialTokens.0=<s>", "tokenizer.specialTokens.1=</s>", "training.steps=2",
            "monitoring.samples=[]");

        workspace.Succeeds("evaluate", "run", "--data", "pairs.jsonl", "--json", "figures.json");
        var figures = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("figures.json"))).RootElement;
        Assert.Equal(("target", 60), (figures.GetProperty("scored").GetString(), figures.GetProperty("rows").GetInt32()));

        workspace.Succeeds("score", "run", "--text", "eht", "--source", "the", "--json", "scores.json");
        var scores = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("scores.json"))).RootElement.GetProperty("negativeLogLikelihood");
        Assert.Equal(JsonValueKind.Null, scores[0].ValueKind); // the token that begins every text
        Assert.All(scores.EnumerateArray().Skip(1), score => Assert.True(score.GetDouble() > 0));
        BadInputTests.Fails(workspace.Run("score", "run", "--text", "eht"), 1,
            "an encoder-decoder scores one text beside another: say with --source or --source-tokens what it reads");
    }

    [Fact]
    public void Passkeys_are_counted_by_length_and_depth()
    {
        using var workspace = new Workspace();
        workspace.Succeeds("train", "small.json", "--run", "run", "--set", "tokenizer.type=byte", "training.steps=1");
        var outcome = workspace.Succeeds("evaluate", "run", "--passkey", "300,400", "--json", "keys.json");
        var cells = JsonDocument.Parse(File.ReadAllText(workspace.PathOf("keys.json"))).RootElement.GetProperty("cells").EnumerateArray()
            .ToList();
        Assert.Equal([300, 300, 300, 300, 300, 400, 400, 400, 400, 400], cells.Select(cell => cell.GetProperty("length").GetInt32()));
        Assert.Contains("0/10", outcome.Output, StringComparison.Ordinal);
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--passkey", "100"), 1,
            "a passkey prompt of 100 tokens is too short: without any filler it has ");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--passkey", "many"), 2,
            "--passkey: entry 0 is \"many\"; give numbers of tokens separated by commas, such as 256,512,1024");
        BadInputTests.Fails(workspace.Run("evaluate", "run", "--passkey", "300", "--window", "8"), 2, "--passkey makes its own text");
    }
}
