using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

/// <summary>Rows whose windows do not shift: those of every epoch, each once.</summary>
public sealed class FixedWindowsTests : IDisposable
{
    private const int Context = 16;

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    public static TheoryData<string, bool> Kinds => new()
    {
        { "crops", false }, { "documents", false }, { "skipping", false }, { "masked", false },
        { "crops", true }, { "documents", true }, { "skipping", true }, { "masked", true },
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Epochs_have_the_same_parts_in_another_order_unless_they_shift(string kind, bool shifts)
    {
        using var shard = folder.Documents(
            ((int[])[1003, 90, 7]).Select(length => Enumerable.Range(0, length).Select(i => 3 + i % 200).ToArray()), RowKinds.Vocabulary);
        var source = Open(kind, shard, shifts);
        var stream = source.Open([shard.All], [1], seed: 5);
        var (first, second) = (Parts(stream, 0), Parts(stream, 1));

        Assert.NotEqual(first, second);
        Assert.Equal(!shifts, first.Order().SequenceEqual(second.Order()));
        if (!shifts)
            Assert.Equal(first.Order(), source.Epoch(shard.All, 3).SelectMany(read => Starts(read())).Order());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Every_row_of_an_epoch_is_read_once_and_apart(bool shifts)
    {
        using var shard = folder.Shard(Enumerable.Range(0, 1000));
        Func<Batch>[] reads = [.. Open("crops", shard, shifts).Epoch(shard.All, 5)];
        Assert.All(reads[..^1], read => Assert.Equal(5, read().Rows));
        var last = reads[^1]();
        Assert.Equal(RowKinds.Content(last), RowKinds.Content(reads[^1]()));   // again, and after others
        Assert.Equal(reads.Sum(read => read().Rows), reads.SelectMany(read => Starts(read())).Distinct().Count());
    }

    private static RowSource Open(string kind, TokenShard shard, bool shifts)
    {
        var options = new DataOptions
        {
            Train = [new SourceOptions { Path = "a.txt" }],
            ShiftWindows = shifts,
            Objective = kind == "masked" ? DataObjective.Masked : DataObjective.Causal,
            PositionSkipping = kind == "skipping" ? new PositionSkippingOptions { Window = Context } : null,
        };
        return RowSource.Create(
            kind == "documents" ? options with { Packing = DataPacking.Documents } : options, RowKinds.Tokenizer, shard,
            kind == "skipping" ? 5 * Context : Context);
    }

    private static List<long> Parts(BatchStream stream, long epoch)
    {
        List<long> starts = [];
        for (stream.Position = new StreamPosition(epoch, 0); ;)
        {
            var batch = stream.Next(1);
            if (stream.Position.Epoch > epoch)
                return starts;
            starts.AddRange(Starts(batch));
        }
    }

    private static IEnumerable<long> Starts(Batch batch) =>
        Enumerable.Range(0, batch.Rows).SelectMany(row => batch.SpansOf(row)).Select(span => span.Start);
}
