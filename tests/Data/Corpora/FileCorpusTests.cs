using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Tests.Parquet;

namespace Trainer.Data.Tests.Corpora;

public sealed class FileCorpusTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("a.txt", "text")]
    [InlineData("a.md", "text")]
    [InlineData("a", "text")]
    [InlineData("a.TXT.GZ", "text")]
    [InlineData("a.jsonl", "jsonl text")]
    [InlineData("a.ndjson.zst", "jsonl text")]
    [InlineData("a.json.gz", "jsonl text")]
    [InlineData("a.parquet", "parquet text")]
    public void The_name_of_a_file_says_its_format(string name, string reading)
    {
        var corpus = Open(folder.Write(name, "x"));
        Assert.Equal((reading, "a"), (corpus.Reading, corpus.Name));
    }

    [Fact]
    public void A_folder_is_read_with_its_subfolders_in_ordinal_order()
    {
        Write("b.jsonl", "{\"text\":\"3\"}\n");
        Write("a/z.jsonl", "{\"text\":\"2\"}\n");
        Write("B.jsonl", "{\"text\":\"1\"}\n");
        Write("README.md", "not read");
        Write("empty.jsonl", "");
        Write(".git/x.jsonl", "{\"text\":\"hidden\"}\n");
        Directory.CreateSymbolicLink(folder["circle"], folder.Path);
        Assert.Equal(["1", "2", "3"], Texts(Open(folder.Path)));
    }

    [Theory]
    [InlineData("*.txt", new[] { "a.txt", "b.txt" })]
    [InlineData("**/*.txt", new[] { "a.txt", "b.txt", "deep/er/d.txt", "deep/c.txt" })]
    [InlineData("**.txt", new[] { "a.txt", "b.txt", "deep/er/d.txt", "deep/c.txt" })]
    [InlineData("deep/*.txt", new[] { "deep/c.txt" })]
    [InlineData("deep/**", new[] { "deep/c.txt", "deep/er/d.txt" })]
    [InlineData("d?ep/*.txt", new[] { "deep/c.txt" })]
    [InlineData("[ab].txt", new[] { "a.txt", "b.txt" })]
    [InlineData("[!a].txt", new[] { "b.txt" })]
    [InlineData("{a,deep/c}.txt", new[] { "a.txt", "deep/c.txt" })]
    [InlineData("{b,x[1]}.txt", new[] { "b.txt" })]
    public void Globs_choose_files(string pattern, string[] names)
    {
        foreach (var name in new[] { "a.txt", "b.txt", "deep/c.txt", "deep/er/d.txt", "notes.md" })
            Write(name, name);
        string?[] expected = [.. names.Order(StringComparer.Ordinal)];
        Assert.Equal(expected, Texts(Open(folder[pattern])));
        Assert.Equal(expected, Texts(Open(Path.GetRelativePath(Environment.CurrentDirectory, folder[pattern]))));
    }

    [Fact]
    public void A_file_that_is_called_like_a_pattern_is_itself()
    {
        Write("a[1].txt", "itself");
        Write("a1.txt", "other");
        Write("texts[", "open");
        Assert.Equal(["itself"], Texts(Open(folder["a[1].txt"])));
        Assert.Equal(["open"], Texts(Open(folder["texts["])));
        Assert.Equal(["open"], Texts(Open(folder["t*["])));
    }

    [Fact]
    public void The_format_can_be_said()
    {
        Write("a.md", "one");
        Write("b.cs", "two");
        Assert.Equal(["one", "two"], Texts(Open(folder.Path, SourceFormat.Text)));
        Assert.Equal(["x"], Texts(Open(folder.Write("data.bin", "{\"body\":\"x\"}"), SourceFormat.JsonLines, "body")));
    }

    [Fact]
    public void What_cannot_be_read_together_or_at_all_is_an_error()
    {
        Write("a.txt", "x");
        Write("b.jsonl", "{\"text\":\"x\"}");
        Write("c.parquet.gz", "x");
        Write("empty.txt", "");
        Directory.CreateDirectory(folder["none"]);
        var relative = Path.GetRelativePath(Environment.CurrentDirectory, folder["missing.txt"]);
        Assert.Equal(
            $"data.train.0.path: there is no file \"{relative}\" (looked for {folder["missing.txt"]}); a relative path starts at the "
            + "working directory", Fails(relative));
        Assert.Equal($"data.train.0.path: the file \"{folder["empty.txt"]}\" ({folder["empty.txt"]}) is empty; name a file with text",
            Fails(folder["empty.txt"]));
        Assert.StartsWith($"data.train.0.path: \"{folder["[ab].*"]}\" has files of several formats: 1 text (such as {folder["a.txt"]}), 1 "
            + "jsonl (such as ", Fails(folder["[ab].*"]));
        Assert.StartsWith($"data.train.0.path: \"{folder["c.parquet.gz"]}\" is compressed as a whole, and parquet is not read so",
            Fails(folder["c.parquet.gz"]));
        Assert.StartsWith($"data.train.0.path: no file with content matches \"{folder["*.xyz"]}\"", Fails(folder["*.xyz"]));
        Assert.StartsWith($"data.train.0.path: no file with content matches \"{folder["texts["]}\"", Fails(folder["texts["]));
        Assert.StartsWith($"data.train.0.path: the folder \"{folder["none"]}\" ({folder["none"]}) has no files of a known format with "
            + "content (.txt, .text, .jsonl, ", Fails(folder["none"]));
        Assert.StartsWith($"the pattern \"{folder["[z-a].txt"]}\" is not understood: ", Fails(folder["[z-a].txt"]));
        Assert.Equal(
            $"data.train.0.column: \"body\" is named as column, but \"{folder["a.txt"]}\" is read as text, which has none; leave it out, "
            + "or set format to \"jsonl\" or \"parquet\"",
            Fails(folder["a.txt"], "body"));
    }

    [Fact]
    public void Weights_come_with_the_corpus()
    {
        var source = new SourceOptions { Path = folder.Write("a.txt", "x"), Weight = 2.5 };
        Assert.Equal(2.5, Corpus.Open(source, "data.train.0", folder["datasets"]).Weight);
        Assert.Equal(1, Corpus.Open(source with { Weight = null }, "data.train.0", folder["datasets"]).Weight);
    }

    [Fact]
    public void Documents_are_written_as_json_lines_and_counted()
    {
        var path = folder.Write("a.jsonl", "{\"text\":\"a\\\"b\\n漢\"}\n{}\n{\"text\":\"\"}\n");
        using var output = new MemoryStream();
        var (writer, figures) = (new DocumentWriter(output), new CorpusStatistics());
        foreach (var piece in figures.Count(Open(path).Read()))
            writer.Add(piece);
        writer.Finish();
        Assert.Equal("\"a\\\"b\\n漢\"\nnull\n\"\"\n", System.Text.Encoding.UTF8.GetString(output.ToArray()));
        Assert.Equal((2, 1, 5, 7), (figures.Documents, figures.Nulls, figures.Characters, figures.Bytes));
    }

    private void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(folder[name])!);
        folder.Write(name, text);
    }

    private Corpus Open(string path, SourceFormat? format = null, string? column = null) =>
        Corpus.Open(new SourceOptions { Path = path, Format = format, Column = column }, "data.train.0", folder["datasets"]);

    private string Fails(string path, string? column = null) => Assert.Throws<UserException>(() => Open(path, column: column)).Message;

    private static List<string?> Texts(Corpus corpus) => ParquetFixtures.Documents(corpus.Read());
}
