using System.Text.Json;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Preparation;

public sealed class DataReportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void It_counts_and_shows_beginnings_of_documents()
    {
        using var data = Prepare("{\"text\":\"one é\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}\n{\"text\":\"four\"}\n{\"text\":\"held "
            + "out\"}\n");
        Assert.Equal("two", DataReport.Of(data, Options, examples: 4, tokens: 9).Examples[1].Text);   // not beyond its end
        var report = DataReport.Of(data, Options, examples: 2, tokens: 5);
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
        Assert.Equal(["abcd", "ghij"], DataReport.Of(data, Options, examples: 2, tokens: 4).Examples.Select(example => example.Text));
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

    [Theory]
    [InlineData("""{"objective":"causal"}""", new[] { "</s> (2) ends documents" })]
    [InlineData("""{"objective":"causal","endOfDocument":"none"}""", new string[0])]
    [InlineData("""{"objective":"causal","packing":"pairs"}""", new[] { "</s> (2) ends what is written" })]
    [InlineData("""{"objective":"masked"}""", new[] { "[CLS] (3) begins rows", "[MASK] (0) hides tokens", "</s> (2) ends documents", "[SEP] (4) ends rows" })]
    [InlineData("""{"objective":"sequence-to-sequence"}""", new[] { "<s> (1) begins what is written", "</s> (2) ends what is read and written" })]
    [InlineData("""{"objective":"sequence-to-sequence","decoderStartToken":"</s>"}""", new[] { "</s> (2) begins what is written", "[CLS] (3) stands before what is read and written", "</s> (2) ends what is read and written" })]
    public void Special_tokens_are_told_with_their_use(string json, string[] expected)
    {
        var trainer = new BpeTokenizerOptions { VocabularySize = 300,
            SpecialTokens = ["[MASK]", "<s>", "</s>", "[CLS]", "[SEP]"] }.CreateTrainer();
        trainer.Observe("a few words");
        var options = JsonSerializer.Deserialize<DataOptions>($$"""{"train":[],{{json[1..]}}""", JsonSerializerOptions.Web)!;
        Assert.Equal(expected, SpecialTokenUse.Of(trainer.Build(), options).Select(use => $"{use.Token} ({use.Id}) {use.Use}"));
    }

    private DataOptions Options => new() { Train = [new SourceOptions { Path = folder["a.jsonl"] }], ValidationFraction = 0.32 };

    private PreparedData Prepare(string lines)
    {
        folder.Write("a.jsonl", lines);
        return DataPreparation.Prepare(Options, new ByteTokenizerOptions(), folder["datasets"]);
    }
}
