namespace Trainer.Training.Distribution;

/// <summary>Averages that each rank has for its share of the weights.</summary>
internal sealed class SpreadAverages : IDisposable
{
    private readonly IDisposable averages;
    private readonly WeightShards shards;

    public SpreadAverages(IDisposable averages, WeightShards shards)
    {
        (this.averages, this.shards) = (averages, shards);
        shards.Spread();
    }

    public void Dispose()
    {
        averages.Dispose();
        shards.Spread();
    }
}
