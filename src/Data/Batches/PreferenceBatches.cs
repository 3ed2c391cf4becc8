using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>All preferences of a shard, each once.</summary>
public static class PreferenceBatches
{
    private const int SortedAtOnce = 4096;

    /// <summary>Rows of similar length side by side; pairs of which truncation leaves nothing are left out.</summary>
    public static IEnumerable<Batch> All(TokenShard shard, DataOptions options, int contextLength, int rows)
    {
        var source = new PreferenceRows(shard, contextLength, options.Conversations.Truncation);
        var documents = new DocumentTable(shard, shard.All, inPairs: true);
        foreach (var some in Fitting(source, documents).Chunk(SortedAtOnce))
            foreach (var batch in some.OrderByDescending(row => row.Columns).Chunk(rows))
                yield return source.Collate(batch);
    }

    /// <summary>How many pairs a shard has, with those that are left out.</summary>
    public static long Count(TokenShard shard) => shard.DocumentCount / 2;

    /// <summary>The first pair, from 0, that lacks an answer; null where none does.</summary>
    public static long? FirstSingle(TokenShard shard)
    {
        var documents = new DocumentTable(shard, shard.All, inPairs: true);
        for (var document = 0L; document < documents.Count; document++)
            if (documents[document].Length == 0)
                return document / 2;
        return null;
    }

    private static IEnumerable<PreferenceRow> Fitting(PreferenceRows source, DocumentTable documents)
    {
        for (var pair = 0L; pair < documents.Count / 2; pair++)
            if (source.Fit(documents, pair) is { } row)
                yield return row;
    }
}
