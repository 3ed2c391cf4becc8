namespace Trainer.Data;

/// <summary>A place in the endless sequence of training rows.</summary>
/// <param name="Epoch">How often all rows have been visited; 0 in a mixture of sources, each of which counts its own.</param>
/// <param name="Index">How many rows have been taken: of the epoch, or of the block where there are blocks, or in all of a mixture.</param>
/// <param name="Block">How many blocks of this epoch lie behind; 0 for rows that need no blocks (see <c>BlockStream</c>).</param>
public sealed record StreamPosition(long Epoch, long Index, long Block = 0)
{
    /// <summary>The place in each source of a mixture, in the order of the recipe; null without a mixture.</summary>
    public IReadOnlyList<SourcePosition>? Sources { get; init; }

    /// <inheritdoc/>
    public bool Equals(StreamPosition? other) =>
        other is not null && (Epoch, Index, Block) == (other.Epoch, other.Index, other.Block)
        && (Sources ?? []).SequenceEqual(other.Sources ?? []);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Epoch, Index, Block, Sources?.Count);

    /// <inheritdoc/>
    public override string ToString() => Sources is null
        ? $"epoch {Epoch}, {(Block > 0 ? $"block {Block:N0}, " : "")}row {Index:N0}"
        : $"row {Index:N0} of the mixture";
}

/// <summary>A place in one source of a mixture.</summary>
/// <param name="Rows">How many rows it has given.</param>
/// <param name="Position">Its next row.</param>
public sealed record SourcePosition(long Rows, StreamPosition Position);
