using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>The section <c>data.positionSkipping</c> (PoSE, Zhu et al. 2023, arXiv 2309.10400): a row's second part starts at a later
/// position than its first ends, up to <c>contextLength</c>, so all distances are learned at the cost of the window.</summary>
public sealed record PositionSkippingOptions
{
    /// <summary>Tokens per row.</summary>
    [Description("Tokens of a row; their positions reach up to model.contextLength.")]
    [Range(2, 16_777_216)]
    public required int Window { get; init; }
}

/// <summary>Short windows of consecutive tokens with one jump in position (PoSE with two chunks). The cut and the jump, 0 to target −
/// window, are drawn uniformly from the window's key, so every distance below the target occurs and a stream resumes exactly.</summary>
internal sealed class SkippingRows(TokenShard shard, int window, int target) : RowSource<Crop>
{
    private readonly CropRows crops = new(shard, window);

    public override RowStream<Crop> Stream(TokenRange range, long seed) =>
        new CropStream(range, window, after: 1, seed, ShiftsWindows);

    public override long Tokens(Crop row) => window;

    public override IReadOnlyList<TokenSpan> Spans(Crop row) => crops.Spans(row);

    public override IReadOnlyList<Crop> ValidationRows(TokenRange range, long count) => crops.ValidationRows(range, count);

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
