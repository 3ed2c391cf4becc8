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
}
