using Trainer.Configuration;

namespace Trainer.Data.Batches;

/// <summary>Mixes sources by weight, <paramref name="runLength"/> rows of one at a time; each source runs through its own epochs.</summary>
internal sealed class MixedStream<T>(IReadOnlyList<RowStream<T>> sources, IReadOnlyList<double> weights, int runLength) : RowStream<T>
{
    private readonly WeightedInterleave interleave = new(weights);
    private int current = -1;
    private int left;   // rows left in the current source's turn

    public override StreamPosition Position
    {
        get
        {
            SourcePosition[] places = [.. sources.Select((source, i) =>
                new SourcePosition(interleave.Taken[i] * runLength - (i == current ? left : 0), source.Position))];
            return new(0, places.Sum(place => place.Rows)) { Sources = places };
        }
        set
        {
            if (value.Sources is not { } places || places.Count != sources.Count || places.Any(place => place.Rows < 0)
                || places.Sum(place => place.Rows) != value.Index || places.Count(IsInRun) > 1)
                throw NoSuchPlace(value, $"the mixture has {sources.Count} sources");
            var taken = interleave.Taken.ToArray();
            interleave.Taken = [.. places.Select(place => (place.Rows + runLength - 1) / runLength)];
            if (!interleave.IsFair)
            {
                interleave.Taken = taken;
                throw new UserException($"the position in the data ({value}) was reached with other weights of data.train; set them back");
            }
            for (var i = 0; i < sources.Count; i++)
                sources[i].Position = places[i].Position;
            current = places.Select((place, i) => IsInRun(place) ? i : -1).Max();
            left = current < 0 ? 0 : runLength - (int)(places[current].Rows % runLength);
        }
    }

    public override T Next()
    {
        if (left == 0)
            (current, left) = (interleave.Next(), runLength);
        left--;
        return sources[current].Next();
    }

    private bool IsInRun(SourcePosition place) => place.Rows % runLength != 0;
}

/// <summary>Weighted interleave, exact to within one turn: Tijdeman's rule for the chairman assignment problem (1980) takes, among the
/// sources far enough behind their share, the one whose next turn is due first.</summary>
internal sealed class WeightedInterleave
{
    private const long Whole = 1L << 32;
    private readonly long[] shares;   // sum to Whole
    private readonly long[] taken;

    public WeightedInterleave(IReadOnlyList<double> weights)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(weights.Count, 2);
        var (sum, given) = (weights.Sum(), 0L);
        shares = new long[weights.Count];
        taken = new long[weights.Count];
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

    public IReadOnlyList<long> Taken
    {
        get => taken;
        set
        {
            for (var i = 0; i < taken.Length; i++)
                taken[i] = value[i];
            Total = taken.Sum();
        }
    }

    public long Total { get; private set; }

    /// <summary>Whether <see cref="Taken"/> fits these weights: every source is less than one turn off its share.</summary>
    public bool IsFair =>
        Enumerable.Range(0, taken.Length).All(i => Int128.Abs((Int128)shares[i] * Total - (Int128)taken[i] * Whole) < Whole);

    public int Next()
    {
        Total++;
        var chosen = -1;
        for (var i = 0; i < shares.Length; i++)
            if (IsEntitled(i) && (chosen < 0 || IsDueBefore(i, chosen)))
                chosen = i;
        taken[chosen]++;
        return chosen;
    }

    /// <summary>Whether the deficit, times 2n−2 and in units of <see cref="Whole"/>, reaches one turn.</summary>
    private bool IsEntitled(int i) => ((Int128)shares[i] * Total - (Int128)taken[i] * Whole) * Spread >= Whole;

    /// <summary>Compares (taken + 1 − 1/(2n−2)) / share, when the next turns are due.</summary>
    private bool IsDueBefore(int i, int other) =>
        ((Int128)(taken[i] + 1) * Spread - 1) * shares[other] < ((Int128)(taken[other] + 1) * Spread - 1) * shares[i];

    private int Spread => 2 * shares.Length - 2;
}
