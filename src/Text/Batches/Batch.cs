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

    /// <summary>Which document of its row each place belongs to (Rows × Columns), counted from 0, −1 where no document is; places see each
    /// other only where it is equal. Null where rows are not made of documents.</summary>
    public long[]? Documents { get; init; }

    /// <summary>The position of each place in its document, or where positions skip (Rows × Columns), from 0; null where it is the column.</summary>
    public long[]? Positions { get; init; }

    /// <summary>A bound that all <see cref="Positions"/> are below; null where it is the number of columns.</summary>
    public int? PositionLimit { get; init; }

    /// <summary>The rows that an encoder reads, where <see cref="Inputs"/> are for a decoder beside it.</summary>
    public SourceRows? Source { get; init; }

    /// <summary>The number of places that are to be predicted.</summary>
    public int TargetTokens { get; } = Targets.Length - Targets.AsSpan().Count(Ignored);

    /// <summary>One of so many parts, of whole rows, as equal as can be; it may have none.</summary>
    /// <param name="index">Which part, from 0.</param>
    /// <param name="count">How many parts there are.</param>
    public Batch Part(int index, int count)
    {
        var (first, end) = (Rows * index / count, Rows * (index + 1) / count);
        Range places = (first * Columns)..(end * Columns);
        return new Batch(Inputs[places], Targets[places], end - first, Columns)
        {
            Documents = Documents?[places],
            Positions = Positions?[places],
            PositionLimit = PositionLimit,
            Source = Source?.Part(first, end),
        };
    }
}
