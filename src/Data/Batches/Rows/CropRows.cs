namespace Trainer.Data;

/// <summary>Windows of consecutive tokens, whatever documents they are of; the target at each place is the token after it.</summary>
internal sealed class CropRows(TokenShard shard, int contextLength) : RowSource<Crop>
{
    public override RowStream<Crop> Stream(TokenRange range, long seed) => new CropStream(range, contextLength, after: 1, seed);

    /// <summary>Windows spread evenly.</summary>
    public override IReadOnlyList<Crop> Fixed(TokenRange range, long count) => Spread(range, contextLength, after: 1, count);

    public override long Tokens(Crop row) => contextLength;

    public override Batch Collate(ReadOnlySpan<Crop> rows)
    {
        var inputs = new long[rows.Length * contextLength];    // (B, T)
        var targets = new long[rows.Length * contextLength];   // (B, T)
        for (var row = 0; row < rows.Length; row++)
        {
            var input = inputs.AsSpan(row * contextLength, contextLength);
            var target = targets.AsSpan(row * contextLength, contextLength);
            shard.Read(rows[row].Start, input);
            input[1..].CopyTo(target);
            shard.Read(rows[row].Start + contextLength, target[^1..]);
        }
        return new Batch(inputs, targets, rows.Length, contextLength);
    }

    /// <summary>Disjoint windows spread evenly over a range.</summary>
    internal static IReadOnlyList<Crop> Spread(TokenRange range, int length, int after, long count)
    {
        ContextCheck.Require(range, length, after);
        var available = (range.Length - after) / length;
        var windows = new Crop[Math.Min(available, count)];
        for (var i = 0; i < windows.Length; i++)
        {
            var window = (long)((Int128)i * available / windows.Length);
            windows[i] = new Crop(range.Start + window * length, KeyedPermutation.Mix((ulong)window + 1));
        }
        return windows;
    }
}
