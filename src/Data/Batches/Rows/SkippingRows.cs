namespace Trainer.Data;

/// <summary>Short windows of consecutive tokens whose positions skip once, so that together they reach the target length (PoSE, Zhu et al.
/// 2023, arXiv 2309.10400, with two chunks and consecutive text).</summary>
/// <remarks>The window is cut at a place drawn evenly, and the positions behind the cut are moved on by a number drawn evenly from 0 to
/// target − window: each distance below the target occurs. Both follow from the key of the window, which no other window and no
/// other epoch has, so that a stream goes on from its position exactly.</remarks>
/// <param name="shard">Where the tokens are.</param>
/// <param name="window">Tokens of a row, at least 2.</param>
/// <param name="target">A bound of the positions, at least <paramref name="window"/>.</param>
internal sealed class SkippingRows(TokenShard shard, int window, int target) : RowSource<Crop>
{
    private readonly CropRows crops = new(shard, window);

    public override RowStream<Crop> Stream(TokenRange range, long seed) => crops.Stream(range, seed);

    public override long Tokens(Crop row) => window;

    /// <summary>Windows spread evenly, with the same skips every time.</summary>
    public override IReadOnlyList<Crop> Fixed(TokenRange range, long count) => crops.Fixed(range, count);

    public override Batch Collate(ReadOnlySpan<Crop> rows)
    {
        var positions = new long[rows.Length * window];   // (B, T)
        for (var row = 0; row < rows.Length; row++)
            Skip(positions.AsSpan(row * window, window), rows[row].Key);
        return crops.Collate(rows) with { Positions = positions, PositionLimit = target };
    }

    private void Skip(Span<long> positions, ulong key)
    {
        var random = new RandomSequence(key);
        var cut = 1 + random.Next(window - 1);
        var skipped = random.Next(target - window + 1);
        for (var column = 0; column < window; column++)
            positions[column] = column < cut ? column : column + skipped;
    }
}
