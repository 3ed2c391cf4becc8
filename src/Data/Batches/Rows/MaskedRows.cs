using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Windows of consecutive tokens of which some are hidden; the target at those places is the token itself. The special tokens that
/// the tokenizer puts around a text stand around each window and are never hidden.</summary>
internal sealed class MaskedRows(TokenShard shard, int contextLength, TokenMasker masker, TextFrame frame) : RowSource<Crop>
{
    private int Window => contextLength - frame.Length;

    public override RowStream<Crop> Stream(TokenRange range, long seed)
    {
        Require(range);
        return new CropStream(range, Window, after: 0, seed);
    }

    /// <summary>Windows spread evenly, with the same places hidden every time.</summary>
    public override IReadOnlyList<Crop> Fixed(TokenRange range, long count)
    {
        Require(range);
        return CropRows.Spread(range, Window, after: 0, count);
    }

    public override long Tokens(Crop row) => contextLength;

    public override Batch Collate(ReadOnlySpan<Crop> rows)
    {
        var inputs = new long[rows.Length * contextLength];    // (B, T)
        var targets = new long[rows.Length * contextLength];   // (B, T)
        Array.Fill(targets, Batch.Ignored);
        for (var row = 0; row < rows.Length; row++)
        {
            var (first, end) = (row * contextLength + frame.Before.Count, (row + 1) * contextLength - frame.After.Count);
            var window = inputs.AsSpan(first..end);
            shard.Read(rows[row].Start, window);
            masker.Hide(window, targets.AsSpan(first..end), rows[row].Key);
            for (var i = 0; i < frame.Before.Count; i++)
                inputs[row * contextLength + i] = frame.Before[i];
            for (var i = 0; i < frame.After.Count; i++)
                inputs[end + i] = frame.After[i];
        }
        return new Batch(inputs, targets, rows.Length, contextLength);
    }

    private void Require(TokenRange range)
    {
        if (Window < 1)
            throw new UserException($"model.contextLength ({contextLength}) leaves no room between the {frame.Length} special tokens that the tokenizer puts around a text; set it to {frame.Length + 1} or more");
        ContextCheck.Require(range, contextLength, after: -frame.Length);
    }
}
