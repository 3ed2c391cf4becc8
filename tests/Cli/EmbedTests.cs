namespace Trainer.Cli.Tests;

/// <summary><c>embed</c> as a user runs it.</summary>
public sealed class EmbedTests(TrainedRun trained) : IClassFixture<TrainedRun>
{
    private readonly Workspace workspace = trained.Workspace;

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    public void Lines_of_standard_input_are_those_of_a_file(string end)
    {
        var lines = string.Join(end, "the model", "", "reads", "");
        File.WriteAllText(workspace.PathOf("lines.txt"), lines);
        var file = workspace.Answer("", "embed", "run", "--data", "lines.txt", "--device", "cpu");
        var input = workspace.Answer(lines, "embed", "run", "--data", "-", "--device", "cpu");
        Assert.True((file.ExitCode, input.ExitCode) == (0, 0), file.Error + input.Error);
        Assert.Equal(2, file.Output.TrimEnd().Split('\n').Length);
        Assert.Equal(file.Output, input.Output);
    }
}
