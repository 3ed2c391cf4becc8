using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Shards;

namespace Trainer.Data.Tests.Batches;

public sealed class PackedRowsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Every_token_of_every_document_comes_once_an_epoch_and_no_target_is_of_another_document() =>
        Prop.ForAll((
            from documents in RowKinds.Documents(most: 80)
            from columns in Gen.Choose(1, 40)
            select (documents, columns)).ToArbitrary(), choice =>
        {
            // Token n is the n-th of the shard, so that each tells where it is from.
            var (ends, next) = (new HashSet<long>(), 0);
            int[][] documents = [.. choice.documents.Append([7, 7]).Select(document => document.Select(_ => next++).ToArray())];
            foreach (var document in documents.Where(document => document.Length > 0))
                ends.Add(document[^1]);
            using var shard = folder.Documents(documents);
            var stream = new PackedRows(shard, choice.columns).Stream(shard.All, seed: 5);
            for (var epoch = 0; epoch < 2; epoch++)
            {
                var rows = Epoch(stream, epoch);
                var batch = new PackedRows(shard, choice.columns).Collate(rows);
                Assert.Equal(Enumerable.Range(0, next).Select(token => (long)token),
                    Places(batch).Select(place => batch.Inputs[place]).Order());
                Assert.All(Places(batch), place =>
                {
                    var token = batch.Inputs[place];
                    Assert.Equal(ends.Contains(token) ? Batch.Ignored : token + 1, batch.Targets[place]);
                    var continues = place % choice.columns > 0 && batch.Documents![place - 1] == batch.Documents[place];
                    Assert.Equal(continues ? batch.Positions![place - 1] + 1 : 0, batch.Positions![place]);
                    if (continues)
                        Assert.Equal(token - 1, batch.Inputs[place - 1]);
                });
                Assert.All(Enumerable.Range(0, batch.Inputs.Length).Except(Places(batch)),
                    place => Assert.Equal(Batch.Ignored, batch.Targets[place]));
                Assert.All(documents.Where(document => document.Length > 0 && document.Length <= choice.columns), document =>
                    Assert.Single(rows, row => row.Any(part => part.Start == document[0] && part.Length == document.Length)));
            }
        }).Holds();

    [Fact]
    public void Little_room_is_lost()
    {
        var random = new Random(3);
        using var shard = folder.Documents(Enumerable.Range(0, 9000).Select(_ => new int[random.Next(5, 300)]));
        var stream = new PackedRows(shard, 256).Stream(shard.All, seed: 1);
        var rows = Epoch(stream, 0);
        Assert.InRange(rows.Length, shard.Length / 256.0, shard.Length / 256.0 * 1.01);
    }

    [Fact]
    public void Epochs_cut_and_pack_differently()
    {
        using var shard = folder.Documents([Enumerable.Range(0, 1000).ToArray(), Enumerable.Range(1000, 90).ToArray()]);
        var stream = new PackedRows(shard, 64).Stream(shard.All, seed: 1);
        Assert.True(Enumerable.Range(0, 8)
            .Select(epoch => string.Join(',', Epoch(stream, epoch).SelectMany(row => row).Select(part => part.Start).Order())).Distinct()
            .Count() > 4);
    }

    [Fact]
    public void A_part_of_a_shard_has_its_documents_only()
    {
        using var shard = folder.Documents([[1, 2, 3], [4, 5], [6, 7, 8, 9], [10, 11]]);
        var tokens = new PackedRows(shard, 8).Collate(Epoch(new PackedRows(shard, 8).Stream(new TokenRange("middle", 3, 6), 1), 0)).Inputs;
        Assert.Equal([0, 0, 4, 5, 6, 7, 8, 9], tokens.Order());
    }

    [Fact]
    public void Documents_of_single_tokens_teach_nothing()
    {
        using var shard = folder.Documents([[1], [2], []]);
        Assert.StartsWith("data.train has no document with two tokens or more",
            Assert.Throws<UserException>(() => new PackedRows(shard, 8).Stream(shard.All, 1)).Message, StringComparison.Ordinal);
    }

    private static DocumentPart[][] Epoch(RowStream<DocumentPart[]> stream, long epoch)
    {
        var rows = new List<DocumentPart[]>();
        for (stream.Position = new StreamPosition(epoch, 0); ;)
        {
            var row = stream.Next();
            if (stream.Position.Epoch > epoch)
                return [.. rows];
            rows.Add(row);
        }
    }

    private static IEnumerable<int> Places(Batch batch) =>
        Enumerable.Range(0, batch.Inputs.Length).Where(place => batch.Documents![place] >= 0);
}
