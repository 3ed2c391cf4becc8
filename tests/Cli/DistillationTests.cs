namespace Trainer.Cli.Tests;

/// <summary>A teacher whose probabilities are kept, from the command line: planned, computed once, read again, refused.</summary>
public sealed class DistillationTests : IDisposable
{
    private readonly Workspace workspace = new();

    public DistillationTests()
    {
        File.WriteAllText(workspace.PathOf("text.txt"), Workspace.Words(3000));
        File.WriteAllText(workspace.PathOf("base.json"), """
            { "name": "base", "model": { "architecture": "decoder", "dim": 32, "layers": 1, "contextLength": 32,
                "attention": { "type": "multi-head", "heads": 2 }, "position": { "type": "rotary" } },
              "tokenizer": { "type": "byte" }, "data": { "train": [ { "path": "text.txt" } ] },
              "training": { "steps": 6, "batchSize": 4 }, "evaluation": { "batches": 2 }, "monitoring": { "tensorBoard": false } }
            """);
        File.WriteAllText(workspace.PathOf("student.json"), """
            { "extends": "base.json", "name": "student", "model": { "dim": 16 },
              "distillation": { "teacher": "runs/base", "temperature": 2.0, "cache": { "topK": 8 } } }
            """);
    }

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Probabilities_are_planned_computed_once_and_read_again()
    {
        workspace.Succeeds(["train", "base.json"]);
        Assert.Contains("none: ", workspace.Run("plan", "student.json").Output, StringComparison.Ordinal);

        var first = workspace.Run("train", "student.json");
        var second = workspace.Run("train", "student.json", "--run", "again", "--set", "seed=5", "distillation.divergence=reverse");

        Assert.Equal((0, 0), (first.ExitCode, second.ExitCode));
        Assert.Contains("computing the 8 likeliest tokens of every target with runs/base", first.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("computing the", second.Error, StringComparison.Ordinal);
        Assert.Contains("teaches by the 8 likeliest tokens of ", second.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("distillation.cache.topK=0", "distillation.cache.topK: ")]
    [InlineData("distillation.cache.topK=300", "distillation.cache.topK: is 300, and the vocabulary has 256 tokens")]
    [InlineData("distillation.hiddenWeight=1", "distillation.hiddenWeight: is 1, and cache keeps")]
    [InlineData("data.shiftWindows=true", "data.shiftWindows: is true, and distillation.cache keeps")]
    public void What_cannot_be_kept_is_a_wrong_configuration(string setting, string message)
    {
        var refused = workspace.Run("train", "student.json", "--set", setting);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains(message, refused.Error, StringComparison.Ordinal);
    }
}
