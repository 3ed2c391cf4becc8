using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Batches;

public sealed class SequenceToSequenceRowsTests : IDisposable
{
    private const int Begin = 0, End = 1;
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Each_pair_comes_once_an_epoch_whole_and_behind_a_begin_token() =>
        Prop.ForAll((
            from lengths in Gen.Choose(0, 12).Two().NonEmptyListOf()
            from rows in Gen.Choose(1, 20)
            from seed in Gen.Choose(0, 1000)
            select (lengths, rows, seed)).ToArbitrary(), choice =>
        {
            // The tokens of a pair are its number, so that source and target show that they belong together.
            var documents = choice.lengths.Append((1, 1))
                .SelectMany((pair, i) => new[] { Repeat(10 + i, pair.Item1), Repeat(10 + i, pair.Item2) }).ToArray();
            using var shard = folder.Documents(documents);
            var source = new SequenceToSequenceRows(shard, 20, new SequenceTokens(Begin, End));
            // A pair without any token at the very end of the shard is not there.
            var pairs = Enumerable.Range(0, documents.Length / 2)
                .Select(i => (Source: Text(documents[2 * i]), Target: Text(documents[2 * i + 1]))).ToArray();
            var stream = source.Stream(shard.All, choice.seed);
            var seen = new List<(string, string)>();
            for (var left = pairs.Length; left > 0; left -= choice.rows)
            {
                var batch = source.Collate(Enumerable.Range(0, Math.Min(left, choice.rows)).Select(_ => stream.Next()).ToArray());
                Assert.Equal(batch.Columns, Enumerable.Range(0, batch.Rows).Max(row => Scored(batch, row)));
                Assert.Equal(batch.Source!.Columns, batch.Source.Lengths.Max());
                for (var row = 0; row < batch.Rows; row++)
                {
                    var targets = batch.Targets[(row * batch.Columns)..(row * batch.Columns + Scored(batch, row))];
                    var inputs = batch.Inputs[(row * batch.Columns)..(row * batch.Columns + targets.Length)];
                    var read = batch.Source.Tokens[(row * batch.Source.Columns)..(row * batch.Source.Columns + batch.Source.Lengths[row])];
                    Assert.Equal(targets.Length, batch.Lengths![row]);
                    Assert.Equal((long[])[Begin, .. targets[..^1]], inputs);
                    Assert.Equal((End, End), (targets[^1], read[^1]));
                    seen.Add((Text(read[..^1]), Text(targets[..^1])));
                }
            }
            Assert.Equal(pairs.Order(), seen.Order());
        }).Holds();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Batches_hold_pairs_of_about_one_length_in_random_order(bool mixed)
    {
        var random = new Random(1);
        using var shard = folder.Documents(Enumerable.Range(0, 4000).Select(i => new int[random.Next(1, 100)]));
        var stream = new SequenceToSequenceRows(shard, 128, new SequenceTokens(Begin, End)).Open(
            mixed ? [new("a", 0, shard.DocumentStart(1000)),
                new("b", shard.DocumentStart(1000), shard.Length - shard.DocumentStart(1000))] : [shard.All],
            mixed ? [1, 2] : [1], seed: 3);
        var batches = Enumerable.Range(0, 160).Select(_ => stream.Next(32)).ToArray();
        var filled = batches.Sum(batch => (double)batch.TargetTokens) / batches.Sum(batch => batch.Rows * batch.Columns);
        Assert.InRange(filled, 0.96, 1);
        var columns = batches.Select(batch => batch.Columns).ToArray();
        Assert.NotEqual(columns.Order(), columns);
    }

    [Fact]
    public void Texts_longer_than_the_context_lose_their_end_and_what_would_say_that_they_end()
    {
        using var shard = folder.Documents([[5, 6, 7, 8, 9], [15, 16, 17, 18]]);
        var source = new SequenceToSequenceRows(shard, 4, new SequenceTokens(Begin, End));
        var batch = source.Collate([source.Stream(shard.All, 1).Next()]);
        Assert.Equal([5, 6, 7, 8], batch.Source!.Tokens);
        Assert.Equal([Begin, 15, 16, 17], batch.Inputs);
        Assert.Equal([15, 16, 17, 18], batch.Targets);
    }

    [Fact]
    public void Both_texts_stand_behind_the_tokens_that_the_tokenizer_puts_before_them()
    {
        using var shard = folder.Documents([[5, 6], [15, 16, 17]]);
        var source = new SequenceToSequenceRows(shard, 4, new SequenceTokens(End, End) { Before = [Begin] });
        var row = source.Stream(shard.All, 1).Next();
        var batch = source.Collate([row]);
        Assert.Equal([Begin, 5, 6, End], batch.Source!.Tokens);
        Assert.Equal([End, Begin, 15, 16], batch.Inputs);
        Assert.Equal([Begin, 15, 16, 17], batch.Targets); // the context has no room for the end
        Assert.Equal((int?[])[null, 1], source.Spans(row).Select(span => span.Column));
        Assert.Equal(4 + 4, source.Tokens(row));
    }

    [Fact]
    public void A_context_that_the_tokens_before_a_text_fill_is_named()
    {
        using var shard = folder.Documents([[5, 6], [15, 16]]);
        SequenceToSequenceRows Open(int context) => new(shard, context, new SequenceTokens(End, End) { Before = [Begin, 2] });
        Assert.Equal("model.contextLength (2) leaves no room for a text behind the special tokens that the tokenizer puts before it (2) "
            + "with data.decoderStartToken; set contextLength to 3 or more", Assert.Throws<UserException>(() => Open(2)).Message);
        var source = Open(3);
        Assert.Equal([Begin, 2, 15], source.Collate([source.Stream(shard.All, 1).Next()]).Targets);
    }

    [Fact]
    public void Parts_of_a_batch_keep_their_sources()
    {
        using var shard = folder.Documents(Enumerable.Range(2, 20).Select(i => Repeat(i / 2, i)));
        var batch = new SequenceToSequenceRows(shard, 64, new SequenceTokens(Begin, End)).Open([shard.All], [1], 1).Next(8);
        Assert.Equal(RowKinds.Rows(batch), Enumerable.Range(0, 3).SelectMany(part => RowKinds.Rows(batch.Part(part, 3))));
    }

    [Fact]
    public void A_tokenizer_without_an_end_token_is_named()
    {
        var message = Assert.Throws<UserException>(() => SequenceTokens.Of(new ByteTokenizerOptions().CreateTrainer().Build())).Message;
        Assert.StartsWith("data.objective is \"sequence-to-sequence\", but the tokenizer (byte) has no token that ends a text (</s>,",
            message, StringComparison.Ordinal);
        Assert.Equal(new SequenceTokens(0, 1), SequenceTokens.Of(RowKinds.Tokenizer));
    }

    [Fact]
    public void Tokens_that_the_data_names_are_found_or_said_to_be_missing()
    {
        DataOptions data = new() { Train = [] };
        Assert.Equal(new SequenceTokens(0, 1), SequenceTokens.Of(RowKinds.Tokenizer, data));
        var named = SequenceTokens.Of(RowKinds.Tokenizer, data with { DecoderStartToken = "</s>", ForcedBosToken = "<s>" });
        Assert.Equal(new SequenceTokens(1, 1) { Forced = 0 }, named);
        Assert.Equal([1, 0], named.Prompt);
        Assert.StartsWith("data.forcedBosToken is \"<x>\", but the tokenizer (", Assert.Throws<UserException>(
            () => SequenceTokens.Of(RowKinds.Tokenizer, data with { ForcedBosToken = "<x>" })).Message, StringComparison.Ordinal);
    }

    private static int Scored(Batch batch, int row) =>
        batch.Targets.AsSpan(row * batch.Columns, batch.Columns).LastIndexOfAnyExcept(Batch.Ignored) + 1;

    private static int[] Repeat(int token, int count) => [.. Enumerable.Repeat(token, count)];

    private static string Text<T>(IEnumerable<T> tokens) => string.Join(' ', tokens);
}
