namespace Trainer.Data;

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

    /// <summary>Where its first row stands in the batch that it is a part of.</summary>
    public int FirstRow { get; init; }

    /// <summary>The number of places that are to be predicted.</summary>
    public int TargetTokens { get; } = Targets.Length - Targets.AsSpan().Count(Ignored);

    /// <summary>The same rows for a model that is given the first tokens of each: those are no targets.</summary>
    /// <param name="length">How many tokens it is given; 1 takes no target away, as the first one never is one.</param>
    public Batch BehindPrefix(int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        if (length == 1)
            return this;
        long[] targets = [.. Targets];
        for (var row = 0; row < Rows; row++)
            targets.AsSpan(row * Columns, Math.Min(length - 1, Columns)).Fill(Ignored);
        return new Batch(Inputs, targets, Rows, Columns) { Documents = Documents, Positions = Positions, PositionLimit = PositionLimit, Source = Source, FirstRow = FirstRow };
    }

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
            FirstRow = FirstRow + first,
        };
    }
}
