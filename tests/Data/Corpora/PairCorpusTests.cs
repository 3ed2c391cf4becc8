using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Corpora;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Data.Tests.Parquet;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Corpora;

public sealed class PairCorpusTests : IDisposable
{
    private static readonly BpeTokenizerOptions Tokenizer = new() { VocabularySize = 300, SpecialTokens = ["<s>", "</s>"] };
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Columns_of_json_lines_are_read_by_turns_and_incomplete_records_left_out()
    {
        folder.Write("pairs.jsonl", """
            {"en":"a house","de":"ein Haus"}
            {"en":"a garden"}

            {"en":"","de":"leer"}
            {"de":"ein \u00e4\nBaum","en":"a tree"}
            """);
        Assert.Equal(["a house", "ein Haus", "a tree", "ein ä\nBaum"],
            Read(new SourceOptions { Path = folder["pairs.jsonl"], Column = "en", TargetColumn = "de" }));
    }

    [Fact]
    public void Lines_of_two_files_are_read_by_turns()
    {
        folder.Write("a.en", "\uFEFFone\r\ntwo\n \nfour\n");
        folder.Write("a.de", "eins\nzwei\ndrei\nvier");
        var source = new SourceOptions { Path = folder["a.en"], TargetPath = folder["a.de"] };
        Assert.Equal(["one", "eins", "two", "zwei", "four", "vier"], Read(source));
        folder.Write("a.de", "eins\nzwei\n");
        Assert.Equal($"{folder["a.de"]} ends after 2 lines, before {folder["a.en"]} does; each line must have its counterpart",
            Assert.Throws<UserException>(() => Read(source)).Message);
    }

    [Fact]
    public void Columns_of_parquet_are_read_by_turns()
    {
        var path = ParquetFixtures.PathOf("plain_uncompressed.parquet");
        var both = Read(new SourceOptions { Path = path, TargetColumn = "text" });
        var documents = ParquetFixtures.Read(path, "text").Where(text => !string.IsNullOrEmpty(text)).ToArray();
        Assert.Equal(documents.SelectMany(text => new[] { text, text }), both);
    }

    [Fact]
    public void Files_without_columns_name_the_other_way()
    {
        folder.Write("a.txt", "text");
        Assert.Contains("name targetPath instead",
            Assert.Throws<UserException>(() => Read(new SourceOptions { Path = folder["a.txt"], TargetColumn = "de" })).Message,
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.1)]
    [InlineData(0.5)]
    [InlineData(0.93)]
    public void Pairs_are_held_out_whole(double fraction)
    {
        folder.Write("pairs.jsonl",
            string.Concat(Enumerable.Range(0, 300).Select(i => $"{{\"source\":\"number {i}\",\"target\":\"{i} ist die Zahl\"}}\n")));
        var options = Options(new SourceOptions { Path = folder["pairs.jsonl"], Column = "source",
            TargetColumn = "target" }) with { ValidationFraction = fraction };
        using var data = DataPreparation.Prepare(options, Tokenizer, folder["datasets"]);
        var texts = Texts(data, data.Train).Concat(Texts(data, data.Validation)).ToArray();
        Assert.Equal(Enumerable.Range(0, 300).SelectMany(i => new[] { $"number {i}", $"{i} ist die Zahl" }), texts);
        Assert.Equal(0, data.Train.DocumentCount % 2);
        Assert.Equal(1 - fraction,
            data.TrainStatistics.Characters / (double)(data.TrainStatistics.Characters + data.ValidationStatistics.Characters), 0.01);
    }

    [Fact]
    public void A_recipe_gives_batches_to_train_and_to_validate_on()
    {
        folder.Write("pairs.jsonl",
            string.Concat(Enumerable.Range(0, 100).Select(i => $"{{\"text\":\"number {i}\",\"target\":\"{i} ist die Zahl\"}}\n")));
        var options = Options(new SourceOptions { Path = folder["pairs.jsonl"], TargetColumn = "target" });
        using var data = DataPreparation.Prepare(options, Tokenizer, folder["datasets"]);
        var batch = BatchStream.Create(data, options, 64, seed: 1).Next(16);
        for (var row = 0; row < 16; row++)
        {
            var read = data.Tokenizer.Decode([.. batch.Source!.Tokens.Skip(row * batch.Source.Columns).Take(batch.Source.Lengths[row] - 1)
                .Select(id => (int)id)]);
            var written = data.Tokenizer.Decode([.. batch.Targets.Skip(row * batch.Columns).Take(batch.Columns).Where(id => id > 1)
                .Select(id => (int)id)]);
            Assert.Equal($"{read["number ".Length..]} ist die Zahl", written);
        }
        var validation = ValidationSet.Create(data, options, 64, batchRows: 4, batches: 10);
        Assert.Equal((int)data.Validation.DocumentCount / 2, validation.Rows);
        Assert.Equal(data.Validation.Length,
            validation.Sum(each => each.TargetTokens - each.Rows + each.Source!.Lengths.Sum() - each.Rows));
    }

    [Fact]
    public void The_longest_rows_are_those_of_the_batches_that_are_looked_at()
    {
        string Pair(int words) => $"{{\"text\":\"{string.Concat(Enumerable.Repeat("a ", words))}\",\"target\":\"{words}\"}}\n";
        folder.Write("pairs.jsonl", string.Concat(Enumerable.Range(1, 40).Select(Pair)));
        var options = Options(new SourceOptions { Path = folder["pairs.jsonl"], TargetColumn = "target" });
        using var data = DataPreparation.Prepare(options, Tokenizer, folder["datasets"]);
        var first = BatchStream.Create(data, options, 200, seed: 5).Next(2);
        Assert.Equal(first.Inputs, BatchStream.Longest(data, options, 200, seed: 5, rows: 2, batches: 1).Inputs);
        var longest = BatchStream.Longest(data, options, 200, seed: 5, rows: 2, batches: 40);
        Assert.Equal(3, longest.Columns); // two digits and what begins them
        Assert.InRange(longest.Source!.Columns, first.Source!.Columns + 1, 81);
    }

    private static DataOptions Options(SourceOptions source) => new() { Train = [source], Objective = DataObjective.SequenceToSequence };

    private List<string?> Read(SourceOptions source) =>
        ParquetFixtures.Documents(Corpus.Open(source, "data.train.0", folder["datasets"], inPairs: true).Read());

    private static IEnumerable<string> Texts(PreparedData data, TokenShard shard)
    {
        for (var document = 0L; document < shard.DocumentCount; document++)
        {
            var start = shard.DocumentStart(document);
            var tokens = new long[(document + 1 < shard.DocumentCount ? shard.DocumentStart(document + 1) : shard.Length) - start];
            shard.Read(start, tokens);
            yield return data.Tokenizer.Decode([.. tokens.Select(id => (int)id)]);
        }
    }
}
