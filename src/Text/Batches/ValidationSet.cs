using System.Collections;

namespace Trainer.Text;

/// <summary>Fixed windows, spread evenly over a shard: the same ones at every evaluation.</summary>
/// <remarks>Windows do not overlap, so that each token is scored at most once. Batches are cut when asked for.</remarks>
public sealed class ValidationSet : IReadOnlyList<Batch>
{
    private readonly TokenShard shard;
    private readonly int contextLength;
    private readonly int batchRows;
    private readonly long available;

    private ValidationSet(TokenShard shard, int contextLength, int batchRows, int batches)
    {
        (this.shard, this.contextLength, this.batchRows) = (shard, contextLength, batchRows);
        available = (shard.Length - 1) / contextLength;
        Windows = (int)Math.Min(available, Math.Min((long)batchRows * batches, int.MaxValue));
    }

    /// <summary>The number of batches: those asked for, or fewer where the shard has no more windows.</summary>
    public int Count => (Windows + batchRows - 1) / batchRows;

    /// <summary>The number of windows in all batches together.</summary>
    public int Windows { get; }

    /// <summary>The number of tokens that are scored.</summary>
    public long TargetTokens => (long)Windows * contextLength;

    /// <summary>One batch.</summary>
    /// <param name="index">Which one, from 0 to <see cref="Count"/>−1.</param>
    public Batch this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Count);
            var first = index * batchRows;
            var starts = new long[Math.Min(batchRows, Windows - first)];
            for (var row = 0; row < starts.Length; row++)
                starts[row] = (long)((Int128)(first + row) * available / Windows) * contextLength;
            return Batch.OfWindows(shard, contextLength, starts);
        }
    }

    /// <summary>Chooses the windows.</summary>
    /// <param name="shard">The tokens; not disposed of here.</param>
    /// <param name="contextLength">The length of each window.</param>
    /// <param name="batchRows">Windows in each batch; the last one may have fewer.</param>
    /// <param name="batches">How many batches at most.</param>
    /// <returns>The set.</returns>
    /// <exception cref="Trainer.Configuration.UserException">The shard is shorter than one window.</exception>
    public static ValidationSet Create(TokenShard shard, int contextLength, int batchRows, int batches)
    {
        ContextCheck.Require(shard, contextLength);
        ArgumentOutOfRangeException.ThrowIfLessThan(batchRows, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(batches, 1);
        return new ValidationSet(shard, contextLength, batchRows, batches);
    }

    /// <inheritdoc/>
    public IEnumerator<Batch> GetEnumerator() => Enumerable.Range(0, Count).Select(index => this[index]).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
