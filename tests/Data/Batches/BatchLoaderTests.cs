using System.Diagnostics;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

public sealed class BatchLoaderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void The_position_counts_what_was_handed_out_and_can_be_set_before_that(int threads)
    {
        using var shard = folder.Shard(Enumerable.Range(0, 400));
        using var loader = new BatchLoader(Stream(shard), rows: 3, threads) { Position = new StreamPosition(2, 7) };
        var expected = Stream(shard);
        expected.Position = new StreamPosition(2, 7);
        for (var i = 0; i < 30; i++)
        {
            Assert.Equal(expected.Next(3).Inputs, loader.Next().Inputs);
            Thread.Sleep(i % 10 == 0 ? 2 : 0);   // time to read ahead
            Assert.Equal(expected.Position, loader.Position);
        }
        if (threads > 0)
            Assert.Throws<InvalidOperationException>(() => loader.Position = new StreamPosition(0, 0));
    }

    [Fact]
    public void Damage_is_met_where_it_is_after_the_batches_before_it()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 3_000_000).Select(i => i % 60_000));
        var direct = Stream(shard);
        long[][] sound = [.. Enumerable.Range(0, 60).Select(_ => direct.Next(1).Inputs)];
        File.Copy(shard.Path, folder["damaged.tokens"]);
        using (var stream = File.OpenWrite(folder["damaged.tokens"]))
        {
            stream.Position = 3 << 20;
            stream.Write([1, 2, 3, 4, 5, 6]);
        }
        using var damaged = TokenShard.Open(folder["damaged.tokens"], "data.train");
        using var loader = new BatchLoader(Stream(damaged), rows: 1, threads: 3);
        var read = 0;
        var error = Assert.Throws<UserException>(() =>
        {
            for (; read < sound.Length; read++)
                Assert.Equal(sound[read], loader.Next().Inputs);
        });
        Assert.InRange(read, 1, sound.Length - 1);
        Assert.Contains("do not match their checksum", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stream_that_cannot_go_on_fails_after_the_batches_before_it_and_again_when_asked_again()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 400));
        using var loader = new BatchLoader(new Ending(Stream(shard), batches: 7), rows: 1, threads: 3);
        for (var i = 0; i < 7; i++)
            loader.Next();
        for (var i = 0; i < 3; i++)
            Assert.Equal("the end", Assert.Throws<UserException>(loader.Next).Message);
    }

    [Fact]
    public void A_loader_that_is_not_emptied_ends_at_once()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 400));
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < 20; i++)
        {
            using var loader = new BatchLoader(Stream(shard), rows: 3, threads: 4);
            loader.Next();
        }
        new BatchLoader(Stream(shard), rows: 3, threads: 4).Dispose();
        // A thread that nobody wakes would wait for ever; a busy machine takes seconds.
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 60);
    }

    private sealed class Ending(BatchStream stream, int batches) : BatchStream
    {
        private int left = batches;

        public override StreamPosition Position { get => stream.Position; set => stream.Position = value; }

        public override Func<Batch> Take(int rows) => left-- > 0 ? stream.Take(rows) : throw new UserException("the end");
    }

    private static BatchStream Stream(TokenShard shard) => new CropRows(shard, 10).Open([shard.All], [1], 1);
}
