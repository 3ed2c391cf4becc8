namespace Trainer.Text;

/// <summary>Windows of consecutive tokens of which some are hidden; the target at those places is the token itself.</summary>
internal sealed class MaskedRows(TokenShard shard, int contextLength, TokenMasker masker) : RowSource<Crop>
{
    public override RowStream<Crop> Stream(TokenRange range, long seed) => new CropStream(range, contextLength, after: 0, seed);

    /// <summary>Windows spread evenly, with the same places hidden every time.</summary>
    public override IReadOnlyList<Crop> Fixed(TokenRange range, long count) => CropRows.Spread(range, contextLength, after: 0, count);

    public override long Tokens(Crop row) => contextLength;

    public override Batch Collate(ReadOnlySpan<Crop> rows)
    {
        var inputs = new long[rows.Length * contextLength];    // (B, T)
        var targets = new long[rows.Length * contextLength];   // (B, T)
        for (var row = 0; row < rows.Length; row++)
        {
            var input = inputs.AsSpan(row * contextLength, contextLength);
            shard.Read(rows[row].Start, input);
            masker.Hide(input, targets.AsSpan(row * contextLength, contextLength), rows[row].Key);
        }
        return new Batch(inputs, targets, rows.Length, contextLength);
    }
}
