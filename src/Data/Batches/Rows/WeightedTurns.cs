namespace Trainer.Data;

/// <summary>Whose turn it is: after any number of turns each participant has had its share, to within one turn.</summary>
/// <remarks>Tijdeman's rule for the chairman assignment problem (1980): among those whose share has fallen behind enough, the
/// one whose next turn is due first. In integers, so that it is exact at any length.</remarks>
internal sealed class WeightedTurns
{
    private const long Whole = 1L << 32;
    private readonly long[] shares;   // they add up to Whole
    private readonly long[] had;

    /// <summary>Starts before the first turn.</summary>
    /// <param name="weights">Two or more, each above 0; only their ratios count.</param>
    public WeightedTurns(IReadOnlyList<double> weights)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(weights.Count, 2);
        var (sum, given) = (weights.Sum(), 0L);
        shares = new long[weights.Count];
        had = new long[weights.Count];
        var (before, largest) = (0.0, 0);
        for (var i = 0; i < shares.Length; i++)
        {
            before += weights[i];
            shares[i] = Math.Max(1, (long)(before / sum * Whole) - given);
            given += shares[i];
            largest = weights[i] > weights[largest] ? i : largest;
        }
        shares[largest] += Whole - given;
    }

    /// <summary>How many turns each has had. Setting it continues there.</summary>
    public IReadOnlyList<long> Had
    {
        get => had;
        set
        {
            for (var i = 0; i < had.Length; i++)
                had[i] = value[i];
            Turns = had.Sum();
        }
    }

    /// <summary>All turns so far.</summary>
    public long Turns { get; private set; }

    /// <summary>Whether the turns had are those of these weights: none is a whole turn off its share.</summary>
    public bool IsFair => Enumerable.Range(0, had.Length).All(i => Int128.Abs((Int128)shares[i] * Turns - (Int128)had[i] * Whole) < Whole);

    /// <summary>Whose turn comes next.</summary>
    public int Next()
    {
        Turns++;
        var chosen = -1;
        for (var i = 0; i < shares.Length; i++)
            if (IsEntitled(i) && (chosen < 0 || IsDueBefore(i, chosen)))
                chosen = i;
        had[chosen]++;
        return chosen;
    }

    /// <summary>2n−2 times what a participant is behind, in parts of <see cref="Whole"/>, reaches a whole turn.</summary>
    private bool IsEntitled(int i) => ((Int128)shares[i] * Turns - (Int128)had[i] * Whole) * Spread >= Whole;

    /// <summary>Compares (had + 1 − 1/(2n−2)) / share, the times when the next turns are due.</summary>
    private bool IsDueBefore(int i, int other) =>
        ((Int128)(had[i] + 1) * Spread - 1) * shares[other] < ((Int128)(had[other] + 1) * Spread - 1) * shares[i];

    private int Spread => 2 * shares.Length - 2;
}
