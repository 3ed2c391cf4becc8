using System.Text.Json;
using System.Text.Json.Nodes;

namespace Trainer.Cli.Tests;

/// <summary>Answers that were chosen and rejected, from the command line: trained on, stopped and resumed, evaluated, refused.</summary>
public sealed class PreferenceTests : IDisposable
{
    private readonly Workspace workspace = new();

    public PreferenceTests()
    {
        File.WriteAllLines(workspace.PathOf("talks.jsonl"), Enumerable.Range(0, 60).Select(number => JsonSerializer.Serialize(new
        {
            instruction = $"q{number}", output = new string((char)('a' + number % 26), 1 + number % 5),
        })));
        File.WriteAllLines(workspace.PathOf("pairs.jsonl"), Enumerable.Range(0, 60).Select(number => JsonSerializer.Serialize(new
        {
            prompt = $"q{number}", chosen = new string('a', 1 + number % 4), rejected = new string('z', 1 + number % 3),
        })));
        File.WriteAllText(workspace.PathOf("base.json"), """
            { "name": "base", "model": { "architecture": "decoder", "dim": 32, "layers": 1, "contextLength": 48,
                "attention": { "type": "multi-head", "heads": 2 }, "position": { "type": "rotary" } },
              "tokenizer": { "type": "byte" },
              "data": { "train": [ { "path": "talks.jsonl", "format": "chat" } ] },
              "training": { "steps": 10, "batchSize": 4 }, "evaluation": { "batches": 2 },
              "monitoring": { "tensorBoard": false } }
            """);
        File.WriteAllText(workspace.PathOf("dpo.json"), """
            { "extends": "base.json", "name": "dpo", "initialize": { "from": "runs/base" },
              "data": { "train": [ { "path": "pairs.jsonl", "format": "preferences" } ] },
              "training": { "steps": 40 }, "optimizer": { "type": "adamw", "learningRate": 3e-3 }, "preference": { "type": "dpo" },
              "monitoring": { "logEvery": 20 }, "checkpoint": { "every": 20 } }
            """);
    }

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Preferences_are_learned_resumed_and_evaluated()
    {
        workspace.Succeeds(["train", "base.json"]);
        workspace.Succeeds(["train", "dpo.json"]);
        workspace.Succeeds(["train", "dpo.json", "--run", "parts", "--until", "20"]);
        workspace.Succeeds(["train", "dpo.json", "--run", "parts", "--resume"]);
        const string weights = "checkpoints/step-00000040/model.safetensors";
        Assert.Equal(File.ReadAllBytes(workspace.PathOf($"runs/dpo/{weights}")), File.ReadAllBytes(workspace.PathOf($"parts/{weights}")));

        JsonNode[] lines = [.. File.ReadLines(workspace.PathOf("runs/dpo/metrics.jsonl")).Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(Math.Log(2), (double)lines.First(line => line["loss"] is not null)["loss"]!, 1e-4);
        var last = lines.Last(line => (string?)line["evaluation"] == "validation")["figures"]!;
        Assert.True((double)last["accuracy"]! > 0.9, last.ToJsonString());
        Assert.DoesNotContain(lines, line => line["perplexity"] is not null);

        workspace.Succeeds(["evaluate", "runs/base", "--data", "talks.jsonl"]);
        workspace.Succeeds(["evaluate", "runs/dpo", "--json", "scores.json"]);
        var scores = JsonNode.Parse(File.ReadAllText(workspace.PathOf("scores.json")))!;
        Assert.Equal(5, (int)scores["pairs"]!);
        Assert.True((double)scores["accuracy"]! > 0.9, scores.ToJsonString());
        Assert.Contains("chosen is likelier", workspace.Run("evaluate", "runs/dpo", "--data", "pairs.jsonl").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void What_does_not_fit_is_refused_in_a_line()
    {
        workspace.Succeeds(["train", "base.json"]);
        File.AppendAllText(workspace.PathOf("pairs.jsonl"), """{"prompt": "q", "chosen": "a", "rejected": "a"}""" + "\n");

        Refused(1, "line 61: has the same text as chosen and as rejected", "train", "dpo.json");
        Refused(2, "preference.beta: 0", "train", "dpo.json", "--set", "preference.beta=0");
        Refused(2, "preference.type: \"dop\" ", "train", "dpo.json", "--set", "preference.type=dop");
        Refused(2, "did you mean labelSmoothing?", "train", "dpo.json", "--set", "preference.labelSmothing=0.1");
        Refused(2, "preference: learns from answers that were chosen and rejected, and data.train has none", "train", "base.json", "--set",
            "initialize.from=runs/base", "preference.type=dpo");
    }

    private void Refused(int code, string message, params string[] arguments)
    {
        var outcome = workspace.Run(arguments);
        Assert.Equal(code, outcome.ExitCode);
        Assert.Contains(message, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
    }
}
