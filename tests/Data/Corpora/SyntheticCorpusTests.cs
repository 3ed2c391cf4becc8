using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Preparation;
using Trainer.Data.Tests.Parquet;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Corpora;

public sealed class SyntheticCorpusTests : IDisposable
{
    private static readonly CharacterTokenizerOptions Characters = new();
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Single_texts_end_their_line_and_pairs_come_apart()
    {
        var source = Source(new CopyTaskOptions { Length = 5 }, 20);
        var whole = Read(source);
        Assert.Equal(20, whole.Count);
        Assert.All(whole, text => Assert.Matches(@"^([a-z]{5})\|\1\n\z", text));
        var pairs = Read(source, inPairs: true);
        Assert.Equal(whole, pairs.Chunk(2).Select(pair => $"{pair[0]}{pair[1]}\n"));
    }

    [Fact]
    public void Examples_follow_from_the_seed_and_more_of_them_begin_with_the_same()
    {
        var source = Source(new CopyTaskOptions(), 50);
        Assert.Equal(Read(source), Read(source));
        Assert.Equal(Read(source), Read(source with { Examples = 200 }).Take(50));
        Assert.Empty(Read(source).Intersect(Read(source with { Seed = 2 })));
    }

    [Fact]
    public void No_prompt_is_in_both_splits_even_where_there_are_few()
    {
        var source = Source(new CopyTaskOptions { Length = 3, Symbols = 5 }, 2000);
        var (train, held) = (Read(source).Distinct().ToArray(),
            Read(source with { Split = SourceSplit.Validation, Seed = 5 }).Distinct().ToArray());
        Assert.Equal(125, train.Length + held.Length);   // all there are
        Assert.InRange(held.Length, 5, 30);
        Assert.Empty(train.Intersect(held));
    }

    [Fact]
    public void A_task_that_has_nothing_to_hold_out_says_so() => Assert.Equal(
        "synthetic-copy has too few different prompts: of 10,000 in a row none was of the validation split; make the task longer, or give "
        + "it more symbols",
        Assert.Throws<UserException>(() => Read(Source(new CopyTaskOptions { Length = 1, Symbols = 2 },
            5) with { Split = SourceSplit.Validation })).Message);

    [Fact]
    public void Another_task_seed_or_number_has_data_of_its_own()
    {
        var source = Source(new CopyTaskOptions { Length = 5 }, 30);
        var datasets = new[] { source, source with { Seed = 2 }, source with { Examples = 31 },
            source with { Task = new CopyTaskOptions { Length = 5, Reversed = true } } }
            .SelectMany(train => new[] { Data(train, DataPacking.Crops), Data(train, DataPacking.Pairs) })
            .Select(data =>
            {
                using var prepared = DataPreparation.Prepare(data, Characters, folder["datasets"]);
                return (prepared.Directory, prepared.Fingerprint);
            }).ToArray();
        Assert.Equal(8, datasets.DistinctBy(data => data.Directory).Count());
        Assert.Equal(8, datasets.DistinctBy(data => data.Fingerprint).Count());
    }

    [Fact]
    public void A_second_call_opens_what_is_there()
    {
        var (data, lines) = (Data(Source(new CopyTaskOptions(), 30), DataPacking.Pairs), new List<string>());
        DataPreparation.Prepare(data, Characters, folder["datasets"], new ProgressLog(lines)).Dispose();
        Assert.Equal("making synthetic-copy", lines[0]);
        lines.Clear();
        using var prepared = DataPreparation.Prepare(data, Characters, folder["datasets"], new ProgressLog(lines));
        Assert.Empty(lines);
        Assert.Equal((60, 0), (prepared.Train.DocumentCount, prepared.Sources.Count));
    }

    [Fact]
    public void A_character_that_training_lacks_is_named_with_its_example()
    {
        var data = new DataOptions
        {
            Train = [Source(new CopyTaskOptions { Symbols = 5 }, 100)], Packing = DataPacking.Pairs,
            Validation = [Source(new CopyTaskOptions { Symbols = 26 }, 5) with { Split = SourceSplit.Validation }],
        };
        Assert.StartsWith("synthetic-copy, example 1, prompt, character ",
            Assert.Throws<UserException>(() => DataPreparation.Prepare(data, Characters, folder["datasets"])).Message);
    }

    private static SourceOptions Source(SyntheticTaskOptions task, long examples) =>
        new() { Format = SourceFormat.Synthetic, Task = task, Examples = examples };

    private static DataOptions Data(SourceOptions train, DataPacking packing) =>
        new() { Train = [train], Validation = [train with { Examples = 5, Split = SourceSplit.Validation }], Packing = packing };

    private List<string?> Read(SourceOptions source, bool inPairs = false) =>
        ParquetFixtures.Documents(Corpus.Open(source, "data.train.0", folder["datasets"], inPairs: inPairs).Read());
}
