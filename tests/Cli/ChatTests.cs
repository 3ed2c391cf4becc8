namespace Trainer.Cli.Tests;

/// <summary>Conversations from the command line: shown, learned, and continued.</summary>
public sealed class ChatTests
{
    [Fact]
    public void A_model_learns_conversations_and_answers()
    {
        using var workspace = new Workspace();
        File.WriteAllLines(workspace.PathOf("talks.jsonl"), Enumerable.Range(0, 40).Select(i =>
            $$"""{"messages": [{"role": "user", "content": "Say {{i % 4}}."}, {"role": "assistant", "content": "It is {{i % 4}}!"}]}"""));
        string[] settings =
        [
            "--set", "tokenizer.type=byte", "data.train.0.path=talks.jsonl", "data.train.0.format=chat", "model.contextLength=96",
            "monitoring.samples.0=Say 1.", "training.steps=10",
        ];

        var shown = workspace.Succeeds("corpus", "talks.jsonl", "--format", "chat", "--template", "chatml", "--limit", "1");
        workspace.Succeeds(["train", "small.json", "--run", "run", .. settings]);
        var answer = workspace.Succeeds("generate", "run", "--chat", "--system", "Be brief.", "--prompt", "Say 2.", "--tokens", "5");

        Assert.Contains("[[It is 0!", shown.Output);
        Assert.DoesNotContain("[[Say", shown.Output);
        Assert.DoesNotContain("<|im_start|>", answer.Output);
        File.WriteAllText(workspace.PathOf("bad.jsonl"), """
            {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
            {"messages": [{"role": "robot", "content": "Hi"}]}
            """);
        BadInputTests.Fails(
            workspace.Run(["train", "small.json", "--run", "bad", .. settings, "data.train.0.path=bad.jsonl"]), 1, "bad.jsonl, line 2");
    }

    [Fact]
    public void Tokens_of_conversations_are_shown_with_their_rows_and_what_is_cut()
    {
        using var workspace = new Workspace();
        File.WriteAllText(workspace.PathOf("talks.jsonl"), $$"""
            {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ho"}]}
            {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{{new string('o', 30)}}"}]}
            """);
        File.WriteAllText(workspace.PathOf("chat.json"), """
            { "extends": "small.json", "tokenizer": { "type": "byte" }, "model": { "contextLength": 40 },
              "data": { "train": [ { "path": "talks.jsonl", "format": "chat" } ], "validation": [ { "path": "talks.jsonl", "format": "chat" } ] } }
            """);
        string[] corpus = ["corpus", "talks.jsonl", "--format", "chat", "--template", "chatml", "--tokens", "--tokenizer"];

        var shown = workspace.Succeeds([.. corpus, "chat.json"]).Output;

        Assert.Contains("talks.jsonl, line 1: 25 tokens, 3 learned\n       0     256  \"<|im_start|>\"\n       1     117  \"u\"\n", shown);
        Assert.Contains("      20      10  \"\\n\"\n*     21      72  \"H\"\n*     22     111  \"o\"\n*     23     257  \"<|im_end|>\"\n      24", shown);
        Assert.Contains("rows of 40 tokens: 2 rows, 15 of padding\n     1  line 2 0–39\n     2  line 1 0–24\n", shown);
        Assert.Contains("  line 2: 13 tokens cut, 12 learned (truncation right)\n", shown);
        Assert.Contains("  line 2: dropped, 31 learned (truncation drop)", workspace.Succeeds([.. corpus, "chat.json", "--truncation", "drop"]).Output);
        Assert.Contains("rows of 60 tokens: 2 rows, 42 of padding", workspace.Succeeds([.. corpus, "chat.json", "--context", "60"]).Output);
        Assert.Contains("25 tokens, 25 learned", workspace.Succeeds([.. corpus, "chat.json", "--learn", "all", "--limit", "1"]).Output);
        var json = workspace.Succeeds([.. corpus, "chat.json", "--json"]).Output.Split('\n');
        Assert.Contains("""talks.jsonl","number":1,"ids":[256,117,""", json[0]);
        Assert.StartsWith("""{"context":40,"truncation":"right","rows":[[{"conversation":1,"start":0,"length":40}],""", json[2]);

        var prepared = workspace.Succeeds("prepare", "chat.json").Output;
        Assert.Contains("  training: 2 conversations, 1 longer than a row, 0 dropped; 13 of 78 tokens cut\n", prepared);
        Assert.Matches("conversations +2 conversations, 1 longer than a row, 0 dropped; 13 of 78 tokens cut\n", workspace.Succeeds("plan", "chat.json").Output);

        BadInputTests.Fails(workspace.Run(corpus[..^1]), 2, "--tokens needs --tokenizer: a tokenizer.json, or a recipe.");
        BadInputTests.Fails(workspace.Run([.. corpus[..^2], "--learn", "all"]), 2, "--learn is for --tokens: give it, or leave --learn out.");
        BadInputTests.Fails(workspace.Run([.. corpus, "gone.json"]), 1, "gone.json");
    }
}
