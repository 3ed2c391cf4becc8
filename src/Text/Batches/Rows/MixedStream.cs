using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>Rows of several sources by weight, whatever their sizes; a source that ends begins another epoch of its own.</summary>
internal sealed class MixedStream<T>(IReadOnlyList<RowStream<T>> sources, IReadOnlyList<double> weights) : RowStream<T>
{
    private readonly WeightedTurns turns = new(weights);

    public override StreamPosition Position
    {
        get => new(0, turns.Turns) { Sources = [.. sources.Select((source, i) => new SourcePosition(turns.Had[i], source.Position))] };
        set
        {
            if (value.Sources?.Count != sources.Count || value.Sources.Any(source => source.Rows < 0) || value.Sources.Sum(source => source.Rows) != value.Index)
                throw NoSuchPlace(value, $"the mixture has {sources.Count} sources");
            var earlier = turns.Had.ToArray();
            turns.Had = [.. value.Sources.Select(source => source.Rows)];
            if (!turns.IsFair)
            {
                turns.Had = earlier;
                throw new UserException($"the position in the data ({value}) was reached with other weights of data.train; set them back");
            }
            for (var i = 0; i < sources.Count; i++)
                sources[i].Position = value.Sources[i].Position;
        }
    }

    public override T Next() => sources[turns.Next()].Next();
}
