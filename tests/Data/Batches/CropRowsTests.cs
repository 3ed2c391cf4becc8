using System.Diagnostics;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

public sealed class CropRowsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Each_target_is_the_token_after_its_input()
    {
        using var shard = Counting(1000);
        var batch = Crops(shard, 16, 1).Next(8);
        Assert.Equal((8, 16, 128), (batch.Rows, batch.Columns, batch.TargetTokens));
        Assert.Equal(batch.Inputs.Select(input => input + 1), batch.Targets);
        Assert.All(Enumerable.Range(0, 8), row => Assert.Equal(
            Enumerable.Range(0, 16).Select(column => batch.Inputs[row * 16] + column), batch.Inputs[(row * 16)..(row * 16 + 16)]));
    }

    [Fact]
    public void An_epoch_visits_disjoint_windows_once_and_all_that_fit() =>
        Prop.ForAll(Cases, choice =>
        {
            var (length, context, seed) = choice;
            using var shard = Counting(length);
            var crops = Crops(shard, context, seed);
            for (var epoch = 0; epoch < 3; epoch++)
            {
                crops.Position = new StreamPosition(epoch, 0);
                var starts = Starts(crops, Windows(shard, context, seed, epoch)).Order().ToArray();
                Assert.All(starts.Zip(starts.Skip(1)), pair => Assert.Equal(context, pair.Second - pair.First));
                Assert.InRange(starts[0], 0, context - 1);
                Assert.InRange(starts[^1] + context, length - context, length - 1);
                Assert.Equal(new StreamPosition(epoch, starts.Length), crops.Position);
            }
        }).Holds();

    [Fact]
    public void The_sequence_does_not_depend_on_how_many_are_taken_at_a_time() =>
        Prop.ForAll(Cases, choice =>
        {
            var (length, context, seed) = choice;
            using var shard = Counting(length);
            var one = Crops(shard, context, seed);
            var many = Crops(shard, context, seed);
            Assert.Equal(Enumerable.Range(0, 60).Select(_ => Starts(one, 1)[0]), Enumerable.Range(0, 5).SelectMany(_ => Starts(many, 12)));
            Assert.Equal(one.Position, many.Position);
        }).Holds();

    [Fact]
    public void A_position_continues_exactly_in_the_second_epoch_too() =>
        Prop.ForAll(Cases, choice =>
        {
            var (length, context, seed) = choice;
            using var shard = Counting(length);
            var whole = Crops(shard, context, seed);
            whole.Next(Windows(shard, context, seed, 0) + 1);
            if (Windows(shard, context, seed, 1) is > 2 and var windows)
                whole.Next(windows / 2);
            var saved = JsonSerializer.Serialize(whole.Position);
            var resumed = Crops(shard, context, seed);
            resumed.Position = JsonSerializer.Deserialize<StreamPosition>(saved)!;
            Assert.Equal(1, resumed.Position.Epoch);
            Assert.Equal(Starts(whole, 50), Starts(resumed, 50));
        }).Holds();

    [Fact]
    public void Epochs_and_seeds_differ()
    {
        using var shard = Counting(10_000);
        var crops = Crops(shard, 10, 1);
        var first = Starts(crops, 900);
        crops.Position = new StreamPosition(1, 0);
        Assert.NotEqual(first, Starts(crops, 900));
        Assert.NotEqual(first, Starts(Crops(shard, 10, 2), 900));
        Assert.True(Enumerable.Range(0, 20).Select(epoch =>
        {
            crops.Position = new StreamPosition(epoch, 0);
            return Starts(crops, 1)[0] % 10;
        }).Distinct().Count() > 4);   // the grid is shifted from epoch to epoch
    }

    [Fact]
    public void The_shortest_data_is_one_window()
    {
        using var shard = Counting(5);
        var crops = Crops(shard, 4, 1);
        Assert.Equal([0L, 0L, 0L], Starts(crops, 3));
        Assert.Equal(new StreamPosition(2, 1), crops.Position);
    }

    [Fact]
    public void A_context_longer_than_the_data_is_an_error_with_both_values_and_the_fix()
    {
        using var shard = Counting(120);
        Assert.Equal(
            "data.train has 120 tokens, but model.contextLength (256) needs at least 257; set model.contextLength to 119 or less, or give "
            + "more text",
            Assert.Throws<UserException>(() => Crops(shard, 256, 1)).Message);
    }

    [Theory]
    [InlineData(0, 1000)]
    [InlineData(0, -1)]
    [InlineData(-1, 0)]
    public void A_position_of_other_data_is_an_error(long epoch, long index)
    {
        using var shard = Counting(1000);
        var crops = Crops(shard, 10, 1);
        Assert.Contains("the data or model.contextLength changed",
            Assert.Throws<UserException>(() => crops.Position = new StreamPosition(epoch, index)).Message);
    }

    [Fact]
    public void A_batch_costs_little()
    {
        using var shard = Counting(60_000);
        var crops = Crops(shard, 64, 1);
        var best = Enumerable.Range(0, 200).Min(_ =>
        {
            var start = Stopwatch.GetTimestamp();
            for (var i = 0; i < 10; i++)
                crops.Next(12);
            return Stopwatch.GetElapsedTime(start).TotalMicroseconds / 10;
        });
        TestContext.Current.TestOutputHelper?.WriteLine($"{best:0.0} µs a batch of 12 × 64");
        Assert.True(best < 50, $"{best:0.0} µs");
    }

    /// <summary>Lengths of one to many windows, contexts and seeds.</summary>
    private static Arbitrary<(int Length, int Context, long Seed)> Cases { get; } = (
        from context in Gen.Choose(1, 40)
        from extra in Gen.Choose(1, 2000)
        from seed in ArbMap.Default.GeneratorFor<long>()
        select (context + extra, context, seed)).ToArbitrary();

    private static BatchStream Crops(TokenShard shard, int context, long seed) => new CropRows(shard, context).Open([shard.All], [1], seed);

    private static int Windows(TokenShard shard, int context, long seed, long epoch) =>
        (int)new CropStream(shard.All, context, after: 1, seed) { Position = new StreamPosition(epoch, 0) }.WindowsInEpoch;

    private TokenShard Counting(int length) => folder.Shard(Enumerable.Range(0, length));

    /// <summary>The index of each window's first token, as tokens count up.</summary>
    private static long[] Starts(BatchStream crops, int rows)
    {
        var batch = crops.Next(rows);
        return [.. Enumerable.Range(0, rows).Select(row => batch.Inputs[row * batch.Columns])];
    }
}
