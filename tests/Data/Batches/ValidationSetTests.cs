using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

public sealed class ValidationSetTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void It_is_the_same_every_time_and_spread_over_the_shard()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 10_001));
        var set = Create(shard, 100, 4, 5);
        Assert.Equal((5, 20, 2000L), (set.Count, set.Rows, set.TargetTokens));
        Assert.Equal(set.SelectMany(batch => batch.Inputs), Create(shard, 100, 4, 5).SelectMany(batch => batch.Inputs));
        Assert.Equal(Enumerable.Range(0, 20).Select(window => window * 500L), Starts(set));
    }

    [Fact]
    public void Windows_never_overlap_and_the_row_count_does_not_choose_them() =>
        Prop.ForAll((
            from length in Gen.Choose(20, 3000)
            from context in Gen.Choose(1, 19)
            from rows in Gen.Choose(1, 12)
            from batches in Gen.Choose(1, 12)
            select (length, context, rows, batches)).ToArbitrary(), choice =>
        {
            using var shard = folder.Shard(Enumerable.Range(0, choice.length));
            var set = Create(shard, choice.context, choice.rows, choice.batches);
            var starts = Starts(set);
            Assert.Equal(Math.Min(choice.rows * choice.batches, (choice.length - 1) / choice.context), starts.Length);
            Assert.All(starts.Zip(starts.Skip(1)), pair => Assert.True(pair.Second - pair.First >= choice.context));
            Assert.Equal(set.TargetTokens, set.Sum(batch => (long)batch.TargetTokens));
            Assert.Equal(starts, Starts(Create(shard, choice.context, choice.rows * choice.batches, 1)));
        }).Holds();

    [Theory]
    [InlineData(1, 13)]
    [InlineData(4, 4)]
    [InlineData(5, 3)]
    [InlineData(20, 1)]
    public void The_same_rows_come_in_batches_of_any_size(int rows, int batches)
    {
        using var shard = folder.Shard(Enumerable.Range(0, 1_301));
        var set = Create(shard, 100, 5, 4);
        var others = set.InBatchesOf(rows);
        Assert.Equal((batches, 13), (others.Count, others.Sum(batch => batch.Rows)));   // fewer than were asked for
        Assert.All(others.SkipLast(1), batch => Assert.Equal(rows, batch.Rows));
        Assert.Equal(set.SelectMany(batch => batch.Inputs), others.SelectMany(batch => batch.Inputs));
        Assert.Equal(set.TargetTokens, others.TargetTokens);
    }

    [Fact]
    public void Data_that_is_too_short_is_named()
    {
        using var shard = folder.Shard([1, 2], name: "the validation data");
        Assert.Equal(
            "the validation data has 2 tokens, but model.contextLength (8) needs at least 9; set model.contextLength to 1 or less, or give "
            + "more text",
            Assert.Throws<UserException>(() => Create(shard, 8, 1, 1)).Message);
    }

    private static ValidationSet Create(TokenShard shard, int contextLength, int batchRows, int batches) =>
        new CropRows(shard, contextLength).Validation(shard.All, batchRows, batches);

    private static long[] Starts(ValidationSet set) =>
        [.. set.SelectMany(batch => Enumerable.Range(0, batch.Rows).Select(row => batch.Inputs[row * batch.Columns]))];
}
