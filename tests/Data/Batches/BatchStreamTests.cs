using System.Text.Json;
using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

/// <summary>Properties of every kind of row, from one source or several.</summary>
public sealed class BatchStreamTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string> Kinds => RowKinds.Names;

    [Theory]
    [MemberData(nameof(Kinds))]
    public void A_position_anywhere_continues_exactly(string kind) => ForAll((open, skip, _) =>
    {
        var whole = open(kind);
        whole.Next(skip);
        var saved = JsonSerializer.Serialize(whole.Position);
        var resumed = open(kind);
        resumed.Position = JsonSerializer.Deserialize<StreamPosition>(saved)!;
        Assert.Equal(whole.Position, resumed.Position);
        Assert.Equal(RowKinds.Content(whole.Next(25)), RowKinds.Content(resumed.Next(25)));
        Assert.Equal(whole.Position, resumed.Position);
    });

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Rows_do_not_depend_on_how_many_are_taken_at_a_time(string kind) => ForAll((open, rows, _) =>
    {
        var (many, one) = (open(kind), open(kind));
        Assert.Equal(RowKinds.Rows(many.Next(rows)), Enumerable.Range(0, rows).SelectMany(_ => RowKinds.Rows(one.Next(1))));
        Assert.Equal(many.Position, one.Position);
    });

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Neither_batches_nor_positions_depend_on_the_number_of_threads(string kind) => ForAll((open, _, rows) =>
    {
        using var direct = new BatchLoader(open(kind), rows);
        (string, StreamPosition)[] expected = [.. Enumerable.Range(0, 12).Select(_ => (RowKinds.Content(direct.Next()), direct.Position))];
        foreach (var threads in new[] { 1, 3 })
        {
            using var loader = new BatchLoader(open(kind), rows, threads);
            Assert.Equal(expected, Enumerable.Range(0, 12).Select(_ => (RowKinds.Content(loader.Next()), loader.Position)));
        }
    }, cases: 20);

    [Fact]
    public void A_position_of_other_sources_or_weights_is_an_error()
    {
        using var shard = folder.Shard(Enumerable.Range(0, 1000));
        BatchStream Open(params double[] weights) =>
            new CropRows(shard, 10).Open([.. weights.Select((_, i) => new TokenRange($"source {i}", i * 300, 300))], weights, 1);
        var mixed = Open(3, 1);
        mixed.Next(100);
        Assert.Equal("the position in the data (row 100 of the mixture) was reached with other weights of data.train; set them back",
            Assert.Throws<UserException>(() => Open(1, 3).Position = mixed.Position).Message);
        Assert.Contains("the mixture has 3 sources", Assert.Throws<UserException>(() => Open(3, 1, 1).Position = mixed.Position).Message,
            StringComparison.Ordinal);
        Assert.Throws<UserException>(() => Open(1).Position = mixed.Position);
        Assert.Throws<UserException>(() => mixed.Position = new StreamPosition(0, 3));
    }

    [Theory]
    [InlineData(0, 0, 1)]
    [InlineData(0, 1000, 0)]
    [InlineData(-1, 0, 0)]
    [InlineData(0, -1, 0)]
    public void A_position_that_packed_documents_do_not_have_is_an_error(long epoch, long index, long block)
    {
        using var shard = folder.Documents([[1, 2, 3], [4, 5]]);
        var stream = new PackedRows(shard, 4).Open([shard.All], [1], 1);
        Assert.Contains("the data or model.contextLength changed",
            Assert.Throws<UserException>(() => stream.Position = new StreamPosition(epoch, index, block)).Message,
            StringComparison.Ordinal);
    }

    /// <summary>Documents as one source or two mixed ones, rows to skip, and rows per batch.</summary>
    private void ForAll(Action<Func<string, BatchStream>, int, int> holds, int cases = 50) =>
        Prop.ForAll((
            from documents in RowKinds.Documents(most: 60)
            from columns in Gen.Choose(1, 24)
            from seed in ArbMap.Default.GeneratorFor<long>()
            from skip in Gen.Choose(1, 150)
            from rows in Gen.Choose(1, 7)
            from mixed in ArbMap.Default.GeneratorFor<bool>()
            select (documents, columns, seed, skip, rows, mixed)).ToArbitrary(), choice =>
        {
            // A pair at each end, so that either half has text whatever was drawn.
            int[][] framed = [.. Enumerable.Repeat(Enumerable.Range(3, 40).ToArray(), 2), .. choice.documents, .. choice.documents,
                .. Enumerable.Repeat(Enumerable.Range(50, 40).ToArray(), 2)];
            using var shard = folder.Documents(framed, RowKinds.Vocabulary);
            var middle = shard.DocumentStart(framed.Length / 2 / 2 * 2);
            TokenRange[] ranges = choice.mixed ? [new("a", 0, middle), new("b", middle, shard.Length - middle)] : [shard.All];
            holds(kind => RowKinds.Open(kind, shard, choice.columns).Open(ranges, choice.mixed ? [0.3, 1] : [1], choice.seed), choice.skip,
                choice.rows);
        }).Holds(cases);
}
