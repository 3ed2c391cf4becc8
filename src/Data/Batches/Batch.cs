using Trainer.Data.Shards;

namespace Trainer.Data.Batches;

/// <summary>Token ids and targets, (Rows × Columns), row-major; <see cref="Ignored"/> where nothing is predicted. Rows of numbers have
/// <see cref="Values"/> in place of tokens, and as targets a class each, or <see cref="TargetValues"/>.</summary>
public sealed record Batch(long[] Inputs, long[] Targets, int Rows, int Columns)
{
    /// <summary>The target at positions that are not scored.</summary>
    public const long Ignored = -100;

    /// <summary>The document of each position, from 0 in each row (−1: padding), within which it attends; null for rows without.</summary>
    public long[]? Documents { get; init; }

    /// <summary>The positions of each row before its padding, where <see cref="Documents"/> do not say; null for rows without padding.
    /// </summary>
    public int[]? Lengths { get; init; }

    /// <summary>Position ids, (Rows × Columns), for documents or skipped positions; null where the position is the column.</summary>
    public long[]? Positions { get; init; }

    /// <summary>Exclusive bound on all <see cref="Positions"/>; null where it is the number of columns.</summary>
    public int? PositionLimit { get; init; }

    /// <summary>Numbers that are read in place of tokens, row-major and equally many in each row; null for tokens.</summary>
    public float[]? Values { get; init; }

    /// <summary>The variable that each row of <see cref="Values"/> is of; null for pictures and tokens.</summary>
    public long[]? Variables { get; init; }

    /// <summary>Numbers to predict, (Rows × Columns), in place of <see cref="Targets"/>; null for those.</summary>
    public float[]? TargetValues { get; init; }

    /// <summary>The encoder's rows, where <see cref="Inputs"/> are for its decoder.</summary>
    public SourceRows? Source { get; init; }

    /// <summary>The pairs that rows of preferences hold, of which document 0 is chosen and 1 rejected; null for other rows.</summary>
    public PreferencePairs? Pairs { get; init; }

    /// <summary>What is known of rows that a model has written itself; null for rows of texts.</summary>
    public SampleRows? Samples { get; init; }

    /// <summary>The index of the first row in the batch that this one is a part of.</summary>
    public int FirstRow { get; init; }

    internal Func<int, IReadOnlyList<TokenSpan>>? Origin { get; init; }

    private readonly int targetTokens = Targets.Length - Targets.AsSpan().Count(Ignored);

    /// <summary>Number of scored positions, classes or values.</summary>
    public int TargetTokens => TargetValues?.Length ?? targetTokens;

    /// <summary>Where a row's tokens lie in the training data; empty where the batch is of other data.</summary>
    public IReadOnlyList<TokenSpan> SpansOf(int row) => Origin?.Invoke(FirstRow + row) ?? [];

    /// <summary>Drops targets among the first <paramref name="length"/> tokens; 1 changes nothing, since the first is none.</summary>
    internal Batch WithoutPrefixTargets(int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 1);
        if (length == 1)
            return this;
        long[] targets = [.. Targets];
        for (var row = 0; row < Rows; row++)
            targets.AsSpan(row * Columns, Math.Min(length - 1, Columns)).Fill(Ignored);
        return new Batch(Inputs, targets, Rows, Columns) { Documents = Documents, Lengths = Lengths, Positions = Positions,
            PositionLimit = PositionLimit, Source = Source, Samples = Samples, FirstRow = FirstRow, Origin = Origin };
    }

    /// <summary>Cuts every row into rows of <paramref name="columns"/>, a divisor of its length. For rows of tokens alone.</summary>
    public Batch Cut(int columns)
    {
        if (columns < 1 || Columns % columns != 0 || Documents is not null || Lengths is not null || Positions is not null
            || Source is not null || Samples is not null)
            throw new ArgumentException($"rows of {Columns}, or such with documents or positions, cannot be cut into rows of {columns}",
                nameof(columns));
        var parts = Columns / columns;
        return new Batch(Inputs, Targets, Rows * parts, columns)
        {
            FirstRow = FirstRow * parts,
            Origin = Origin is { } whole
                ? row => [.. whole(row / parts).Select(span => span.Within(row % parts * columns, columns)).OfType<TokenSpan>()]
                : null,
        };
    }

    /// <summary>Part <paramref name="index"/> of <paramref name="count"/>, split by rows as evenly as possible; may be empty.</summary>
    public Batch Part(int index, int count)
    {
        var (first, end) = (Rows * index / count, Rows * (index + 1) / count);
        Range places = (first * Columns)..(end * Columns);
        if (Values is { } values)
        {
            var numbers = values.Length / Math.Max(1, Rows);
            return new Batch([], TargetValues is null ? Targets[places] : [], end - first, Columns)
            {
                Values = values[(first * numbers)..(end * numbers)],
                Variables = Variables?[first..end],
                TargetValues = TargetValues?[places],
                FirstRow = FirstRow + first,
            };
        }
        return new Batch(Inputs[places], Targets[places], end - first, Columns)
        {
            Documents = Documents?[places],
            Lengths = Lengths?[first..end],
            Positions = Positions?[places],
            PositionLimit = PositionLimit,
            Source = Source?.Part(first, end),
            Pairs = Pairs?.Part(first, end),
            Samples = Samples?.Part(first, end),
            FirstRow = FirstRow + first,
            Origin = Origin,
        };
    }
}

/// <summary>An encoder's rows, (rows × Columns), row-major; past a row's length is padding of 0, which attention must mask.</summary>
public sealed record SourceRows(long[] Tokens, int[] Lengths, int Columns)
{
    /// <summary>Pads texts, at least one, to the longest.</summary>
    public static SourceRows Pad(IReadOnlyList<int[]> texts)
    {
        var columns = texts.Max(text => text.Length);
        var tokens = new long[texts.Count * columns];
        for (var row = 0; row < texts.Count; row++)
            for (var column = 0; column < texts[row].Length; column++) tokens[row * columns + column] = texts[row][column];
        return new SourceRows(tokens, [.. texts.Select(text => text.Length)], columns);
    }

    internal SourceRows Part(int first, int end) => new(Tokens[(first * Columns)..(end * Columns)], Lengths[first..end], Columns);
}

/// <summary>Rows of a prompt and what a model wrote behind it, the targets: reward and advantage of each row, whether it is right, and
/// logarithms of probabilities, (rows × columns), row-major; 0 where there is no target.</summary>
public sealed record SampleRows(float[] Rewards, float[] Advantages, bool[] Right)
{
    /// <summary>Those of the model that wrote them; null where it is the model that is trained, as it is now.</summary>
    public float[]? OldLogProbabilities { get; init; }

    /// <summary>Those of the model that the trained one is to stay close to; null without one.</summary>
    public float[]? ReferenceLogProbabilities { get; init; }

    internal SampleRows Part(int first, int end)
    {
        Range places = (first * Columns)..(end * Columns);
        return new(Rewards[first..end], Advantages[first..end], Right[first..end])
        {
            OldLogProbabilities = OldLogProbabilities?[places],
            ReferenceLogProbabilities = ReferenceLogProbabilities?[places],
        };
    }

    private int Columns => (OldLogProbabilities ?? ReferenceLogProbabilities ?? []).Length / Math.Max(1, Rewards.Length);
}
