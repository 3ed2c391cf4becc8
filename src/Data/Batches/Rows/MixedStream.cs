using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Rows of several sources by weight, whatever their sizes; a source that ends begins another epoch of its own.</summary>
/// <param name="sources">The sources.</param>
/// <param name="weights">How often each is drawn from.</param>
/// <param name="rowsOfTurn">How many rows a source gives when it is its turn.</param>
internal sealed class MixedStream<T>(IReadOnlyList<RowStream<T>> sources, IReadOnlyList<double> weights, int rowsOfTurn) : RowStream<T>
{
    private readonly WeightedTurns turns = new(weights);
    private int current = -1;
    private int left;   // rows of the turn that the current source has yet to give

    public override StreamPosition Position
    {
        get
        {
            SourcePosition[] places = [.. sources.Select((source, i) => new SourcePosition(turns.Had[i] * rowsOfTurn - (i == current ? left : 0), source.Position))];
            return new(0, places.Sum(place => place.Rows)) { Sources = places };
        }
        set
        {
            if (value.Sources is not { } places || places.Count != sources.Count || places.Any(place => place.Rows < 0)
                || places.Sum(place => place.Rows) != value.Index || places.Count(IsInTurn) > 1)
                throw NoSuchPlace(value, $"the mixture has {sources.Count} sources");
            var had = turns.Had.ToArray();
            turns.Had = [.. places.Select(place => (place.Rows + rowsOfTurn - 1) / rowsOfTurn)];
            if (!turns.IsFair)
            {
                turns.Had = had;
                throw new UserException($"the position in the data ({value}) was reached with other weights of data.train; set them back");
            }
            for (var i = 0; i < sources.Count; i++)
                sources[i].Position = places[i].Position;
            current = places.Select((place, i) => IsInTurn(place) ? i : -1).Max();
            left = current < 0 ? 0 : rowsOfTurn - (int)(places[current].Rows % rowsOfTurn);
        }
    }

    public override T Next()
    {
        if (left == 0)
            (current, left) = (turns.Next(), rowsOfTurn);
        left--;
        return sources[current].Next();
    }

    private bool IsInTurn(SourcePosition place) => place.Rows % rowsOfTurn != 0;
}
