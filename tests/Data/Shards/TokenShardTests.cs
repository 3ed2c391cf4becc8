using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Shards;

public sealed class TokenShardTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(65_536, 2)]
    [InlineData(65_537, 4)]
    public void The_vocabulary_decides_the_width(int vocabularySize, int bytesPerToken)
    {
        using var shard = folder.Shard([0, vocabularySize - 1, 7], vocabularySize);
        Assert.Equal([0, vocabularySize - 1, 7], Read(shard, 0, 3));
        Assert.Equal(128 + 8 * ((3 * bytesPerToken + 7) / 8) + 8 + 4, new FileInfo(shard.Path).Length);
    }

    [Fact]
    public void Any_range_reads_as_written_across_blocks()
    {
        var ids = Enumerable.Range(0, 1_300_000).Select(i => (int)((long)i * 7919 % 60_000)).ToArray();
        using var shard = folder.Shard(ids);
        Assert.Equal(ids.Length, shard.Length);
        Prop.ForAll(Gen.Choose(0, ids.Length - 2000).Zip(Gen.Choose(0, 2000)).ToArbitrary(), range =>
                Read(shard, range.Item1, range.Item2).SequenceEqual(ids.Skip(range.Item1).Take(range.Item2).Select(id => (long)id)))
            .Holds();
        Assert.Equal(ids[(524_288 - 5)..(524_288 + 5)].Select(id => (long)id), Read(shard, 524_288 - 5, 10));
    }

    [Fact]
    public void Reading_past_the_end_is_refused()
    {
        using var shard = folder.Shard([1, 2, 3]);
        Assert.Throws<ArgumentOutOfRangeException>(() => Read(shard, 2, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => Read(shard, -1, 1));
    }

    [Fact]
    public void Documents_and_fingerprint_are_kept()
    {
        var path = folder["d.tokens"];
        using (var writer = new ShardWriter(path, 10))
        {
            writer.StartDocument();
            writer.Append([1, 2, 3]);
            writer.StartDocument();
            writer.Append([4]);
            writer.Finish(new string('5', 64));
        }
        using var shard = TokenShard.Open(path, "data.train");
        Assert.Equal(2, shard.DocumentCount);
        Assert.Equal([0L, 3L], new[] { shard.DocumentStart(0), shard.DocumentStart(1) });
        Assert.Equal(new string('5', 64), shard.Fingerprint);
    }

    [Fact]
    public void An_id_outside_the_vocabulary_is_never_written()
    {
        using var writer = new ShardWriter(folder["x.tokens"], 10);
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Append([10]));
        Assert.Throws<ArgumentOutOfRangeException>(() => writer.Append([-1]));
    }

    [Fact]
    public void Every_truncation_and_every_damaged_byte_is_noticed()
    {
        using var shard = folder.Shard([1, 2, 3, 4, 5]);
        var whole = File.ReadAllBytes(shard.Path);
        for (var length = 0; length < whole.Length; length++)
            Assert.Contains("prepare the data again", Fails(whole[..length]));
        var unused = Enumerable.Range(80, 48).Concat(Enumerable.Range(128 + 10, 6));   // the rest of the header, and padding
        foreach (var offset in Enumerable.Range(0, whole.Length).Except(unused))
        {
            var damaged = (byte[])whole.Clone();
            damaged[offset] ^= 0x10;
            Assert.Contains("prepare the data again", Fails(damaged));
        }
    }

    [Fact]
    public void Messages_say_what_is_wrong()
    {
        using var shard = folder.Shard([1, 2, 3, 4, 5]);
        var whole = File.ReadAllBytes(shard.Path);
        Assert.EndsWith("it has 100 bytes, fewer than the 128 of a header; delete its folder and prepare the data again",
            Fails(whole[..100]));
        Assert.Contains("it has 150 bytes, but its 5 tokens and 1 documents take 156", Fails(whole[..150]));
        whole[128] ^= 1;
        Assert.Contains("tokens 0 to 4 do not match their checksum", Fails(whole));
    }

    private string Fails(byte[] content)
    {
        var path = folder.Write("damaged.tokens", content);
        return Assert.Throws<UserException>(() =>
        {
            using var shard = TokenShard.Open(path, "data.train");
            Read(shard, 0, (int)shard.Length);
        }).Message;
    }

    private static long[] Read(TokenShard shard, long start, int count)
    {
        var tokens = new long[count];
        shard.Read(start, tokens);
        return tokens;
    }
}
