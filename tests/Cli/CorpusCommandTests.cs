using System.IO.Compression;
using System.Text;

namespace Trainer.Cli.Tests;

/// <summary><c>corpus</c>: what would be read, for people and for scripts.</summary>
public sealed class CorpusCommandTests : IDisposable
{
    private readonly Workspace workspace = new();

    public CorpusCommandTests()
    {
        Directory.CreateDirectory(workspace.PathOf("data/deep"));
        File.WriteAllText(workspace.PathOf("data/b.jsonl"), "{\"text\":\"naïve \\\"two\\\"\",\"body\":\"x\"}\n{\"text\":null}\n");
        using (var stream = new GZipStream(File.Create(workspace.PathOf("data/a.jsonl.gz")), CompressionLevel.Fastest))
            stream.Write("{\"text\":\"one\"}\n"u8);
        File.WriteAllText(workspace.PathOf("data/deep/c.jsonl"), "{\"text\":\"three\\nlines\\n\"}\n");
    }

    public void Dispose() => workspace.Dispose();

    [Fact]
    public void Figures_are_printed()
    {
        var outcome = workspace.Run("corpus", "data");
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Error));
        Assert.Equal("files       3\ndocuments   3 (1 more records have none)\ncharacters  26\nbytes       27\n", outcome.Output);
    }

    [Theory]
    [InlineData("\"one\"\n\"naïve \\\"two\\\"\"\nnull\n\"three\\nlines\\n\"\n", "data")]
    [InlineData("\"one\"\n\"naïve \\\"two\\\"\"\n", "data", "--limit", "2")]
    [InlineData("", "data", "--limit", "0")]
    [InlineData("\"x\"\nnull\n", "data/b.jsonl", "--column", "body")]
    [InlineData("\"three\\nlines\\n\"\n\"one\"\n", "data/**/c.*", "data/a*")]
    [InlineData("\"{\\\"text\\\":\\\"three\\\\nlines\\\\n\\\"}\\n\"\n", "data/deep/c.jsonl", "--format", "text")]
    public void Documents_are_json_lines(string lines, params string[] arguments)
    {
        var outcome = workspace.Run(["corpus", .. arguments, "--json"]);
        Assert.Equal((0, "", lines), (outcome.ExitCode, outcome.Error, outcome.Output));
    }

    [Theory]
    [InlineData("out.parquet")]
    [InlineData("out.jsonl.zst")]
    public void Documents_are_written_to_a_file_that_reads_the_same(string file)
    {
        var written = workspace.Run("corpus", "data", "--output", file);
        Assert.Equal((0, "", "files       3\ndocuments   3 (1 more records have none)\ncharacters  26\nbytes       27\n"),
            (written.ExitCode, written.Error, written.Output));
        Assert.Equal("\"one\"\n\"naïve \\\"two\\\"\"\nnull\n\"three\\nlines\\n\"\n", workspace.Run("corpus", file, "--json").Output);
    }

    [Fact]
    public void Examples_of_a_task_need_no_file()
    {
        string[] copies = ["corpus", "--format", "synthetic", "--task", "{\"type\":\"copy\",\"length\":3}"];
        var first = workspace.Run([.. copies, "--json", "--limit", "5"]);
        Assert.Equal((0, ""), (first.ExitCode, first.Error));
        Assert.Matches(@"\A(""([a-z]{3})\|\2\\n""\n){5}\z", first.Output);
        Assert.Equal(first.Output, workspace.Run([.. copies, "--json", "--examples", "5"]).Output);
        Assert.NotEqual(first.Output, workspace.Run([.. copies, "--json", "--limit", "5", "--seed", "2"]).Output);
        Assert.Equal("files       0\ndocuments   20,000\ncharacters  160,000\nbytes       160,000\n", workspace.Run(copies).Output);
    }

    [Theory]
    [InlineData(1, "there is no file \"nowhere\"", "nowhere")]
    [InlineData(1, "data/b.jsonl has no field \"txt\" in any of its 2 records; its first record has body, text; name one in column",
        "data/b.jsonl", "--column", "txt")]
    [InlineData(2, "--format is \"xml\"; allowed: text, jsonl, parquet, chat, preferences, dotnet-docs, dotnet-docs-chat, dotnet-docs-preferences, dotnet-translations, synthetic.",
        "data", "--format", "xml")]
    [InlineData(2, "--output is \"out.csv\", which does not say how to write; allowed are names that end in .parquet, .jsonl, " +
        ".jsonl.gz, .jsonl.zst.", "data", "--output", "out.csv")]
    [InlineData(1, "none/out.parquet cannot be written", "data", "--output", "none/out.parquet")]
    [InlineData(2, "--limit is -1", "data", "--limit", "-1")]
    [InlineData(2, "path: is missing")]
    [InlineData(2, "task: is missing", "--format", "synthetic")]
    [InlineData(2, "copi", "--format", "synthetic", "--task", "copi")]
    [InlineData(2, "minimumLength: is 9, above length (4)", "--format", "synthetic", "--task",
        "{\"type\":\"copy\",\"length\":4,\"minimumLength\":9}")]
    [InlineData(2, "language: is missing", "--format", "dotnet-translations")]
    public void What_cannot_be_read_is_an_error(int exitCode, string part, params string[] arguments)
    {
        var outcome = workspace.Run(["corpus", .. arguments]);
        Assert.Equal((exitCode, ""), (outcome.ExitCode, outcome.Output));
        Assert.Contains(part, outcome.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", outcome.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void What_was_read_before_the_damage_comes_out()
    {
        File.WriteAllText(workspace.PathOf("bad.jsonl"), "{\"text\":\"whole\"}\n{\"text\":\"cut", Encoding.UTF8);
        var outcome = workspace.Run("corpus", "bad.jsonl", "--json");
        Assert.Equal((1, "\"whole\"\n"), (outcome.ExitCode, outcome.Output));
        Assert.Contains("bad.jsonl, line 2 (at byte ", outcome.Error, StringComparison.Ordinal);
    }
}
