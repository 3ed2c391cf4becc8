using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

/// <summary>Skipping positions as PoSE defines them. <see cref="BatchStreamTests"/> covers resuming.</summary>
public sealed class SkippingRowsTests : IDisposable
{
    private const int Window = 8;
    private const int Target = 32;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_row_is_consecutive_text_and_its_positions_skip_once()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 10_000));
        var batch = Open(shard).Next(500);
        Assert.Equal((Window, Target), (batch.Columns, batch.PositionLimit));
        Assert.Equal(batch.Inputs.Select(token => token + 1), batch.Targets);
        foreach (var positions in batch.Positions!.Chunk(Window))
        {
            Assert.Equal(0, positions[0]);
            Assert.InRange(positions[^1], Window - 1, Target - 1);
            Assert.InRange(positions.Zip(positions.Skip(1)).Count(pair => pair.Second != pair.First + 1), 0, 1);
            Assert.All(positions.Zip(positions.Skip(1)), pair => Assert.True(pair.Second > pair.First));
        }
    }

    [Fact]
    public void Every_distance_below_the_target_is_learned_and_cuts_and_skips_are_even()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 9 * Window));
        const int rows = 20_000;
        var (cuts, skips, distances) = (new int[Window], new int[Target - Window + 1], new int[Target]);
        foreach (var positions in Open(shard).Next(rows).Positions!.Chunk(Window))
        {
            var skip = (int)positions[^1] - (Window - 1);
            skips[skip]++;
            if (skip > 0) cuts[Enumerable.Range(1, Window - 1).First(column => positions[column] != column)]++;
            for (var later = 1; later < Window; later++) distances[positions[later] - positions[0]]++;
        }
        Assert.All(distances[1..], count => Assert.True(count > 0));
        Even(skips);
        Even(cuts[1..]);

        // Five standard deviations of a count.
        static void Even(int[] counts)
        {
            var expected = (double)counts.Sum() / counts.Length;
            Assert.All(counts, count => Assert.InRange(count, expected - 5 * Math.Sqrt(expected), expected + 5 * Math.Sqrt(expected)));
        }
    }

    [Fact]
    public void Epochs_and_seeds_skip_differently_and_validation_always_alike()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 1000));
        var stream = Open(shard);
        var first = stream.Next(100).Positions;
        stream.Position = new StreamPosition(1, 0);
        Assert.NotEqual(first, stream.Next(100).Positions);
        Assert.NotEqual(first, Open(shard, seed: 2).Next(100).Positions);

        long[] Validation() => new SkippingRows(shard, Window, Target).Validation(shard.All, 10, 2)[1].Positions!;
        Assert.Equal(Validation(), Validation());
        Assert.Contains(Validation(), position => position >= Window);
    }

    [Fact]
    public void Parts_of_a_batch_keep_their_positions()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 1000));
        var batch = Open(shard).Next(4);
        Assert.Equal(batch.Positions!, batch.Part(0, 2).Positions!.Concat(batch.Part(1, 2).Positions!));
        Assert.Equal(Target, batch.Part(1, 2).PositionLimit);
    }

    [Theory]
    [InlineData("packing", "packing \"documents\" makes other rows")]
    [InlineData("objective", "objective \"masked\" makes other rows")]
    public void Only_windows_of_consecutive_tokens_skip(string what, string message)
    {
        var options = new DataOptions { Train = [new SourceOptions { Path = "a" }], PositionSkipping = new() { Window = 8 } };
        options = what == "packing" ? options with { Packing = DataPacking.Documents } : options with { Objective = DataObjective.Masked };
        Problem problem = Assert.Single(options.Validate());
        Assert.Equal("positionSkipping", problem.Path);
        Assert.Contains(message, problem.Message, StringComparison.Ordinal);
    }

    private static BatchStream Open(TokenShard shard, long seed = 1) =>
        new SkippingRows(shard, Window, Target).Open([shard.All], [1], seed);
}
