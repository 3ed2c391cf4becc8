using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

/// <summary>Rows of conversations: packed, truncated, and with targets only where something is learned.</summary>
public sealed class ConversationRowsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Only_learned_tokens_are_targets_and_conversations_do_not_see_each_other()
    {
        using var shard = Shard("..ab.c", ".d");
        var batch = Rows(shard, 8, ConversationTruncation.Right).Next(1);
        Assert.Equal([0L, 1, 2, 3, 4, 5, 6, 7], batch.Inputs);
        Assert.Equal([-100L, 2, 3, -100, 5, -100, 7, -100], batch.Targets);
        Assert.Equal([0L, 0, 0, 0, 0, 0, 1, 1], batch.Documents!);
        Assert.Equal([0L, 1, 2, 3, 4, 5, 0, 1], batch.Positions!);
        Assert.Equal(4, batch.TargetTokens);
    }

    // Tokens 0 to 9; 2 and 3, 5 and 9 are learned. Rows of 4.
    [Theory]
    [InlineData(ConversationTruncation.Right, "0123>.23.")]
    [InlineData(ConversationTruncation.Left, "6789>..9.")]
    [InlineData(ConversationTruncation.Split, "0123>.23. 4567>5... 89>9.")]
    [InlineData(ConversationTruncation.Drop, "")]
    public void A_long_conversation_is_truncated(ConversationTruncation way, string expected)
    {
        using var shard = Shard("..ab.c...d");
        var cut = new ConversationCut(shard, 4, way);
        var rows = new PackedRows(shard, 4, way);
        Assert.Equal(expected, string.Join(' ', cut.Parts(0, 10).Select(part =>
        {
            var batch = rows.Collate([[part]]);
            var length = part.Length;
            return $"{string.Concat(batch.Inputs[..length])}>{string.Concat(batch.Targets[..length].Select(Shown))}";
        })));
    }

    private static string Shown(long target) => target == Batch.Ignored ? "." : $"{target}";

    [Theory]
    [InlineData(ConversationTruncation.Right)]
    [InlineData(ConversationTruncation.Left)]
    public void Parts_without_a_learned_token_are_left_out(ConversationTruncation way)
    {
        using var shard = Shard("......a......");
        Assert.Empty(new ConversationCut(shard, 4, way).Parts(0, 13));
        Assert.Equal([(4L, 4)], new ConversationCut(shard, 4, ConversationTruncation.Split).Parts(0, 13)
            .Select(part => (part.Start, part.Length)));
        Assert.Equal($"data.train has no conversation with a learned token within model.contextLength (4), where data.chat.truncation is "
            + $"\"{way.ToString().ToLowerInvariant()}\"; set contextLength to more, or truncation to \"split\"",
            Assert.Throws<UserException>(() => Rows(shard, 4, way)).Message);
    }

    [Fact]
    public void The_token_behind_a_cut_is_a_target()
    {
        using var shard = Shard("....a..");
        var batch = Rows(shard, 4, ConversationTruncation.Right).Next(1);
        Assert.Equal([-100L, -100, -100, 4], batch.Targets);
    }

    [Fact]
    public void Resuming_goes_on_with_the_same_rows()
    {
        using var shard = Shard([.. Enumerable.Range(1, 40).Select(length => new string('.', 2) + new string('a', length))]);
        var stream = Rows(shard, 16, ConversationTruncation.Split);
        stream.Next(7);
        var place = stream.Position;
        var expected = stream.Next(30);
        var resumed = Rows(shard, 16, ConversationTruncation.Split);
        resumed.Position = place;
        var again = resumed.Next(30);
        Assert.Equal(expected.Inputs, again.Inputs);
        Assert.Equal(expected.Targets, again.Targets);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(1000)]
    public void Marks_are_read_back(int length)
    {
        var random = new Random(length);
        var marks = string.Concat(Enumerable.Range(0, length).Select(_ => random.Next(2) == 0 ? '.' : 'a'));
        using var shard = Shard(marks);
        var learned = new bool[length];
        shard.ReadLearned(0, learned);
        Assert.Equal(marks, string.Concat(learned.Select(mark => mark ? 'a' : '.')));
        Assert.Equal(marks.Contains('a'), shard.AnyLearned(0, length));
        Assert.Throws<ArgumentOutOfRangeException>(() => shard.ReadLearned(1, learned));
    }

    [Fact]
    public void Damaged_marks_are_found()
    {
        string path;
        using (var shard = Shard("..a.a."))
            path = shard.Path;
        var bytes = File.ReadAllBytes(path);
        bytes[^1] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Contains("its tables do not match their checksum", Assert.Throws<UserException>(() => TokenShard.Open(path, "a")).Message,
            StringComparison.Ordinal);
    }

    private static BatchStream Rows(TokenShard shard, int columns, ConversationTruncation way) =>
        new PackedRows(shard, columns, way).Open([shard.All], [1], seed: 3);

    /// <summary>Token n is the n-th of the shard; those with a letter are learned.</summary>
    private TokenShard Shard(params string[] conversations)
    {
        var path = folder[$"{Guid.NewGuid():N}.tokens"];
        using (var writer = new ShardWriter(path, 65_536, marksLearned: true))
        {
            var next = 0;
            foreach (var conversation in conversations)
            {
                writer.StartDocument();
                writer.Append([.. conversation.Select(_ => next++)], [.. conversation.Select(mark => mark != '.')]);
            }
            writer.Finish(new string('a', 64));
        }
        return TokenShard.Open(path, "data.train");
    }
}
