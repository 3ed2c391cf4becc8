namespace Trainer.Text;

/// <summary>Some rows of tokens to learn or to be measured on.</summary>
/// <param name="Inputs">Token ids (Rows × Columns), row by row.</param>
/// <param name="Targets">What to predict at each place (Rows × Columns); <see cref="Ignored"/> = nothing.</param>
/// <param name="Rows">The number of sequences.</param>
/// <param name="Columns">The length of each.</param>
public sealed record Batch(long[] Inputs, long[] Targets, int Rows, int Columns)
{
    /// <summary>The target at places that are not to be predicted.</summary>
    public const long Ignored = -100;

    /// <summary>The number of places that are to be predicted.</summary>
    public int TargetTokens { get; } = Targets.Length - Targets.AsSpan().Count(Ignored);

    /// <summary>One of so many parts, of whole rows, as equal as can be; it may have none.</summary>
    /// <param name="index">Which part, from 0.</param>
    /// <param name="count">How many parts there are.</param>
    public Batch Part(int index, int count)
    {
        var (first, end) = (Rows * index / count, Rows * (index + 1) / count);
        Range range = (first * Columns)..(end * Columns);
        return new Batch(Inputs[range], Targets[range], end - first, Columns);
    }

    /// <summary>Cuts windows out of a shard; the target at each place is the token after it.</summary>
    /// <param name="shard">The tokens.</param>
    /// <param name="columns">The length of each window; one token more is read, for its last target.</param>
    /// <param name="starts">The index of each window's first token.</param>
    internal static Batch OfWindows(TokenShard shard, int columns, ReadOnlySpan<long> starts)
    {
        var inputs = new long[starts.Length * columns];    // (B, T)
        var targets = new long[starts.Length * columns];   // (B, T)
        for (var row = 0; row < starts.Length; row++)
        {
            var input = inputs.AsSpan(row * columns, columns);
            var target = targets.AsSpan(row * columns, columns);
            shard.Read(starts[row], input);
            input[1..].CopyTo(target);
            shard.Read(starts[row] + columns, target[^1..]);
        }
        return new Batch(inputs, targets, starts.Length, columns);
    }
}
