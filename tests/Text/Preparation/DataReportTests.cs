namespace Trainer.Text.Tests;

public sealed class DataReportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void It_counts_and_shows_beginnings_of_documents()
    {
        using var data = Prepare("{\"text\":\"one é\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}\n{\"text\":\"four\"}\n{\"text\":\"held out\"}\n");
        var report = DataReport.Of(data, examples: 2, tokens: 5);
        Assert.Equal(("byte", 256, 1), (report.Tokenizer, report.VocabularySize, report.Files));
        Assert.Equal(new SplitStatistics(4, 17, 18, 18), report.Train);
        Assert.Equal(new SplitStatistics(1, 8, 8, 8), report.Validation);
        Assert.Equal(["one \uFFFD", "three"], report.Examples.Select(example => example.Text));
        Assert.Equal(["o", "n", "e", " ", "\uFFFD"], report.Examples[0].Tokens);
        Assert.Equal([0x6F, 0x6E, 0x65, 0x20, 0xC3], report.Examples[0].Ids);
    }

    [Fact]
    public void One_document_is_shown_in_several_places()
    {
        using var data = Prepare("{\"text\":\"abcdefghijklmnopqrst\"}\n");
        Assert.Equal(["abcd", "ghij"], DataReport.Of(data, examples: 2, tokens: 4).Examples.Select(example => example.Text));
    }

    [Fact]
    public void What_is_prepared_is_found_and_changes_of_its_files_noticed()
    {
        Assert.Empty(PreparedDataset.Find(folder["datasets"]));
        using var data = Prepare("{\"text\":\"abcdefghij\"}\n");
        Directory.CreateDirectory(Path.Combine(folder["datasets"], "other"));
        var found = Assert.Single(PreparedDataset.Find(folder["datasets"]));
        Assert.Equal((data.Directory, 1, true, data.TrainStatistics), (found.Directory, found.Files, found.IsCurrent, found.Train));
        Assert.True(found.Bytes > 2 * data.Train.Length);
        folder.Write("a.jsonl", "{\"text\":\"other\"}\n");
        Assert.False(Assert.Single(PreparedDataset.Find(folder["datasets"])).IsCurrent);
    }

    private PreparedData Prepare(string lines) => DataPreparation.Prepare(
        new DataOptions { Train = [new SourceOptions { Path = folder.Write("a.jsonl", lines) }], ValidationFraction = 0.32 }, new ByteTokenizerOptions(), folder["datasets"]);
}
