using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

/// <summary>Rows of a chosen and a rejected answer, which do not see each other.</summary>
public sealed class PreferenceRowsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    // Models whose positions are learned have no more than those of the context.
    [Theory]
    [InlineData(8, 5)]
    [InlineData(4, 4)]
    public void Both_answers_stand_in_a_row_with_their_prompts_and_positions_of_their_own(int contextLength, int limit)
    {
        using var shard = Shard("..ab", "..c");
        var batch = Rows(shard, contextLength).Next(1);
        Assert.Equal([0L, 1, 2, 4, 5], batch.Inputs);
        Assert.Equal([-100L, 2, 3, -100, 6], batch.Targets);
        Assert.Equal([0L, 0, 0, 1, 1], batch.Documents!);
        Assert.Equal([0L, 1, 2, 0, 1], batch.Positions!);
        Assert.Equal(limit, batch.PositionLimit);
        Assert.Equal([0L], batch.Pairs!.Numbers);
        Assert.Same(shard, batch.Pairs.Shard);
    }

    [Fact]
    public void An_answer_that_is_not_there_takes_no_room()
    {
        using var shard = Shard("", "..c", "..de", "");
        Batch[] batches = [.. PreferenceBatches.All(shard, Options(ConversationTruncation.Right), 8, 1)];
        Assert.Equal(["333 0 1 2", "11 0 1"], batches.OrderByDescending(batch => batch.Columns).Select(batch =>
            $"{string.Concat(batch.Documents!.Select(id => id == 0 ? 3 : 1))} {string.Join(' ', batch.Positions!)}"));
        Assert.Equal(0, PreferenceBatches.FirstSingle(shard));
        Assert.Equal(2, PreferenceBatches.Count(shard));
    }

    // The longest answers have four tokens that are read, and one more that is only predicted.
    [Theory]
    [InlineData(ConversationTruncation.Right, "0123>..34 8>9")]
    [InlineData(ConversationTruncation.Left, "3456>4567 8>9")]
    [InlineData(ConversationTruncation.Drop, "")]
    public void A_long_answer_is_cut(ConversationTruncation way, string expected)
    {
        using var shard = Shard("...abcde", ".f");
        var batch = PreferenceBatches.All(shard, Options(way), 4, 1).SingleOrDefault();
        Assert.Equal(expected, batch is null ? "" : string.Join(' ', new[] { 0, 1 }.Select(id =>
        {
            int[] places = [.. Enumerable.Range(0, batch.Columns).Where(place => batch.Documents![place] == id)];
            return $"{string.Concat(places.Select(place => batch.Inputs[place]))}>"
                + string.Concat(places.Select(place => Shown(batch.Targets[place])));
        })));
    }

    [Fact]
    public void A_pair_of_which_nothing_is_left_to_learn_is_left_out()
    {
        using var shard = Shard("......a", ".b", ".c", ".d");
        Assert.Equal([1L], PreferenceBatches.All(shard, Options(ConversationTruncation.Right), 4, 8).Single().Pairs!.Numbers);
        using var none = Shard("......a", ".b");
        Assert.Equal("data.train has no preference whose answers have a token within model.contextLength (4), where data.chat.truncation "
            + "is \"right\"; set contextLength to more, or truncation to \"left\"",
            Assert.Throws<UserException>(() => Rows(none, 4)).Message);
    }

    [Fact]
    public void Parts_of_a_batch_keep_their_pairs()
    {
        using var shard = Shard(".a", ".b", ".c", ".d", ".e", ".f");
        var batch = Rows(shard, 4).Next(3);
        Assert.Equal(batch.Pairs!.Numbers, [.. batch.Part(0, 2).Pairs!.Numbers, .. batch.Part(1, 2).Pairs!.Numbers]);
        Assert.Equal([0L, 1, 2], batch.Pairs.Numbers.Order());
    }

    [Fact]
    public void Resuming_goes_on_with_the_same_rows()
    {
        using var shard = Shard([.. Enumerable.Range(1, 80).Select(length => ".." + new string('a', length % 13 + 1))]);
        var stream = Rows(shard, 16);
        stream.Next(7);
        var place = stream.Position;
        var expected = stream.Next(60);
        var resumed = Rows(shard, 16);
        resumed.Position = place;
        Assert.Equal(expected.Pairs!.Numbers, resumed.Next(60).Pairs!.Numbers);
        Assert.Equal(40, stream.Next(53).Pairs!.Numbers.Concat(expected.Pairs.Numbers).Distinct().Count());
    }

    private static string Shown(long target) => target == Batch.Ignored ? "." : $"{target}";

    private static DataOptions Options(ConversationTruncation way) => new()
    {
        Train = [new SourceOptions { Path = "pairs.jsonl", Format = SourceFormat.Preferences }],
        Chat = new ConversationOptions { Truncation = way },
    };

    private static BatchStream Rows(TokenShard shard, int columns) =>
        new PreferenceRows(shard, columns, ConversationTruncation.Right).Open([shard.All], [1], seed: 3);

    /// <summary>Token n is the n-th of the shard; those with a letter are learned. Documents alternate between chosen and rejected.</summary>
    private TokenShard Shard(params string[] answers)
    {
        var path = folder[$"{Guid.NewGuid():N}.tokens"];
        using (var writer = new ShardWriter(path, 1000, marksLearned: true))
        {
            var next = 0;
            foreach (var answer in answers)
            {
                writer.StartDocument();
                writer.Append([.. answer.Select(_ => next++)], [.. answer.Select(char.IsLetter)]);
            }
            writer.Finish(new string('0', 64));
        }
        return TokenShard.Open(path, "data.train");
    }
}
