using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Tests.Parquet;

namespace Trainer.Data.Tests.Corpora;

/// <summary>Written documents read back the same.</summary>
public sealed class DocumentFileTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("out.parquet")]
    [InlineData("out.jsonl")]
    [InlineData("out.jsonl.gz")]
    [InlineData("out.jsonl.zst")]
    public void Documents_come_back(string name)
    {
        var longText = string.Concat(Enumerable.Repeat("a line of 漢字 and 😀\n", 100_000));   // several pieces
        File.WriteAllLines(folder["in.jsonl"],
            new[] { "a\"b\n", null, "", longText, "end" }.Select(text => System.Text.Json.JsonSerializer.Serialize(new { text })));
        DocumentFile.Write(folder[name], Open(folder["in.jsonl"]).Read());
        Assert.Equal(["a\"b\n", null, "", longText, "end"], ParquetFixtures.Documents(Open(folder[name]).Read()));
    }

    [Fact]
    public void A_zst_file_is_smaller_and_cut_off_ones_are_noticed()
    {
        folder.Write("in.txt", new string('x', 1 << 20));
        DocumentFile.Write(folder["out.jsonl.zst"], Open(folder["in.txt"]).Read());
        var whole = File.ReadAllBytes(folder["out.jsonl.zst"]);
        Assert.InRange(whole.Length, 1, 1 << 12);
        folder.Write("cut.jsonl.zst", whole[..^1]);
        Assert.Contains("is damaged at or before byte",
            Assert.Throws<UserException>(() => ParquetFixtures.Documents(Open(folder["cut.jsonl.zst"]).Read())).Message);
    }

    [Fact]
    public void A_document_too_long_for_one_value_says_where_it_stands()
    {
        var path = folder.Write("in.txt", "abc");
        Assert.Equal($"{path}, line 1, column 1: the document has more than 2 characters, too many for one value; split it, or take a part "
            + "of it",
            Assert.Throws<UserException>(() => WholeDocuments.Of(Open(path).Read(), 2).ToList()).Message);
    }

    private Corpus Open(string path) => Corpus.Open(new SourceOptions { Path = path }, "", folder["datasets"]);
}
