using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Corpora;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Batches;

public sealed class PromptRowsTests : IDisposable
{
    private const int End = 1;
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Only_the_text_to_write_is_scored_and_that_it_ends() =>
        Prop.ForAll((
            from lengths in Gen.Choose(0, 12).Two().NonEmptyListOf()
            from ends in Gen.Elements(true, false)
            from rows in Gen.Choose(1, 20)
            from seed in Gen.Choose(0, 1000)
            select (lengths, ends, rows, seed)).ToArbitrary(), choice =>
        {
            // The tokens of a pair are its number, and a text to write is one more than the one to read.
            var pairs = choice.lengths.Append((1, 1))
                .Select(pair => (Source: pair.Item1,
                Target: Math.Max(pair.Item2, choice.ends && pair.Item1 > 0 ? 0 : pair.Item1 > 0 ? 1 : 2)))
                .Select((pair, i) => (Source: Repeat(10 + 2 * i, pair.Source), Target: Repeat(11 + 2 * i, pair.Target))).ToArray();
            using var shard = folder.Documents(pairs.SelectMany(pair => new[] { pair.Source, pair.Target }));
            var source = new PromptRows(shard, 40, choice.ends ? End : null);
            var stream = source.Stream(shard.All, choice.seed);
            var seen = new List<string>();
            for (var left = pairs.Length; left > 0; left -= choice.rows)
            {
                var rows = Enumerable.Range(0, Math.Min(left, choice.rows)).Select(_ => stream.Next()).ToArray();
                var batch = source.Collate(rows);
                Assert.Equal(batch.Columns, rows.Max(source.Tokens));
                for (var row = 0; row < batch.Rows; row++)
                {
                    var (inputs, targets) = (Row(batch.Inputs, batch, row), Row(batch.Targets, batch, row));
                    var columns = (int)source.Tokens(rows[row]);
                    Assert.Equal(columns, batch.Lengths![row]);
                    Assert.All(targets[columns..], target => Assert.Equal(Batch.Ignored, target));
                    var first = Array.FindIndex(targets, target => target != Batch.Ignored);
                    Assert.Equal(inputs[(first + 1)..columns], targets[first..(columns - 1)]);
                    seen.Add(Text([.. inputs[..(first + 1)], .. targets[first..columns]]) + $" from {first}");
                }
            }
            Assert.Equal(pairs.Select(pair => Text([.. pair.Source, .. pair.Target, .. choice.ends ? [End] : Array.Empty<int>()])
                + $" from {Math.Max(0, pair.Source.Length - 1)}").Order(), seen.Order());
        }).Holds();

    [Fact]
    public void A_row_that_is_too_long_loses_the_end_of_what_is_to_be_written()
    {
        using var shard = folder.Documents([[5, 6, 7], [15, 16, 17, 18]]);
        Batch Collate(int context, int? end)
        {
            var source = new PromptRows(shard, context, end);
            return source.Collate([source.Stream(shard.All, 1).Next()]);
        }
        Assert.Equal([5, 6, 7, 15], Collate(4, End).Inputs);
        Assert.Equal([-100, -100, 15, 16], Collate(4, End).Targets);
        Assert.Equal([5, 6, 7, 15, 16, 17], Collate(6, End).Inputs);
        Assert.Equal([-100, -100, 15, 16, 17, 18], Collate(6, End).Targets);
        Assert.Equal([-100, -100, 15, 16, 17, 18, End], Collate(7, End).Targets);
        Assert.Equal([-100, -100, 15, 16, 17, 18], Collate(9, null).Targets);
    }

    [Fact]
    public void A_text_to_read_that_leaves_no_room_is_named()
    {
        using var shard = folder.Documents([[1], [2], [5, 6, 7, 8], [15]]);
        Assert.Equal(
            "data.train, pair 2: the text to read has 4 tokens, so that model.contextLength (3) leaves no room for the text to write; set "
            + "it to 4 or more, or leave such pairs out",
            Assert.Throws<UserException>(() => new PromptRows(shard, 3, End).Stream(shard.All, 1)).Message);
        using var empty = folder.Documents([[1, 2], [], [], [1]]);
        Assert.Equal("data.train has no pair with a token to predict; give texts to write",
            Assert.Throws<UserException>(() => new PromptRows(empty, 9, null).Stream(empty.All, 1)).Message);
    }

    [Fact]
    public void A_pair_within_the_prefix_that_is_read_together_is_named()
    {
        using var shard = folder.Documents([[5, 6, 7], [15, 16, 17], [5, 6, 7], [15]]);
        var options = new DataOptions { Train = [], Packing = DataPacking.Pairs };
        RowSource For(int prefix) => RowSource.Create(options, ByteTokenizer.Instance, shard, 9, prefix);
        Assert.Equal(
            "data.train, pair 2: it has 4 tokens, all within the 4 that attention pattern 'prefix' reads together, so that none is left to "
            + "predict; set prefixLength to less than 4, or leave such pairs out",
            Assert.Throws<UserException>(() => For(4).Open([shard.All], [1], 1)).Message);
        For(3).Open([shard.All], [1], 1);
        var rows = For(2).Validation(shard.All, 2, 1)[0];   // the text to read is longer: nothing changes
        Assert.Equal(4, rows.TargetTokens);
    }

    [Fact]
    public void A_recipe_gives_rows_of_prompt_and_answer()
    {
        var source = new SourceOptions { Format = SourceFormat.Synthetic,
            Task = new AssociativeRecallTaskOptions { Pairs = 6, MinimumPairs = 2 }, Examples = 300 };
        var options = new DataOptions { Train = [source], Validation = [source with { Split = SourceSplit.Validation, Examples = 40 }],
            Packing = DataPacking.Pairs };
        using var data = DataPreparation.Prepare(options, new CharacterTokenizerOptions(), folder["datasets"]);
        var batch = BatchStream.Create(data, options, 32, seed: 1).Next(32);
        Assert.Equal(32, batch.TargetTokens);
        for (var row = 0; row < batch.Rows; row++)
        {
            var text = data.Tokenizer.Decode([.. Row(batch.Inputs, batch, row).Select(id => (int)id)]);
            var at = text.IndexOf('|') + 1;
            Assert.Equal(text[text.IndexOf(text[at]) + 1].ToString(), data.Tokenizer.Decode([(int)Row(batch.Targets, batch, row)[at]]));
        }
        Assert.Equal(40, ValidationSet.Create(data, options, 32, batchRows: 8, batches: 10).TargetTokens);
        Assert.Equal(40, ValidationSet.Create(data, options, 32, batchRows: 8, batches: 10, prefixLength: 5).TargetTokens);
        Assert.Equal(10, BatchStream.TokensPerRow(data, options, 32, seed: 1), 0.5);   // two to six pairs and two more
    }

    private static long[] Row(long[] places, Batch batch, int row) => places[(row * batch.Columns)..((row + 1) * batch.Columns)];

    private static int[] Repeat(int token, int count) => [.. Enumerable.Repeat(token, count)];

    private static string Text<T>(IEnumerable<T> tokens) => string.Join(' ', tokens);

    private static string Text(IEnumerable<long> tokens) => string.Join(' ', tokens);
}
