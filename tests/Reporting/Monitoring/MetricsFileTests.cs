using Trainer.Reporting.Monitoring;
using Trainer.Tests;

namespace Trainer.Reporting.Tests.Monitoring;

public class MetricsFileTests
{
    private const string Killed = """
        {"step":10,"loss":3}
        {"step":20,"loss":2}
        {"step":20,"validationLoss":2}
        {"step":30,"loss":1}
        {"step":40,"lo
        """;

    [Fact]
    public void Steps_that_will_be_recorded_again_and_a_half_written_line_go()
    {
        using var directory = new TemporaryDirectory();
        var path = directory.File("metrics.jsonl");
        File.WriteAllText(path, Killed);

        Assert.Equal((1, 1), MetricsFile.Rewind(path, firstStep: 21));

        Assert.Equal("{\"step\":10,\"loss\":3}\n{\"step\":20,\"loss\":2}\n{\"step\":20,\"validationLoss\":2}\n", File.ReadAllText(path));
        Assert.Equal([path], Directory.GetFiles(directory.Path));
    }

    [Fact]
    public void New_run_begins_with_an_empty_file()
    {
        using var directory = new TemporaryDirectory();
        var path = directory.File("metrics.jsonl");
        File.WriteAllText(path, Killed);

        Assert.Equal((4, 1), MetricsFile.Rewind(path, firstStep: 0));

        Assert.Empty(File.ReadAllText(path));
    }

    [Fact]
    public void No_file_is_no_problem()
    {
        using var directory = new TemporaryDirectory();

        Assert.Equal((0, 0), MetricsFile.Rewind(directory.File("metrics.jsonl"), 5));
        Assert.Empty(Directory.GetFiles(directory.Path));
    }

    [Theory]
    [InlineData("[1]")]
    [InlineData("{\"loss\":1}")]
    [InlineData("{\"step\":\"ten\"}")]
    [InlineData("\0\0\0\0")]
    public void What_is_no_record_is_counted_as_damaged(string line)
    {
        using var directory = new TemporaryDirectory();
        var path = directory.File("metrics.jsonl");
        File.WriteAllText(path, line + "\n{\"step\":1}\n");

        Assert.Equal((0, 1), MetricsFile.Rewind(path, 5));

        Assert.Equal("{\"step\":1}\n", File.ReadAllText(path));
    }
}
