// Shapes: T query positions, S key positions, H heads, L distances.
using Trainer.Kernels;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Models.Attention.Kernels;

/// <summary>What positions add to the scaled scores. It depends on the distance of query and key alone, so a kernel may ask for all pairs,
/// or for one query's keys and know the rest.</summary>
/// <param name="over">Gives (1, H, T, S) for T queries and S keys.</param>
internal sealed class ScoreBias(Func<PositionSpan, PositionSpan, Tensor> over)
{
    /// <summary>What is added for every pair.</summary>
    /// <returns>(1, H, T, S)</returns>
    public Tensor Over(PositionSpan queries, PositionSpan keys) => over(queries, keys);

    /// <summary>What is added at each distance that occurs, without ever making T·S numbers.</summary>
    public DistanceBias ByDistance(PositionSpan queries, PositionSpan keys, Device device)
    {
        int highest = queries.End - 1 - (keys.Sinks > 0 ? 0 : keys.Start), lowest = queries.Start - keys.End + 1;
        // One query that has keys at all these distances.
        int query = Math.Max(0, highest);
        Tensor row = over(new(query, 1), new(query - highest, highest - lowest + 1)); // (1, H, 1, L), the farthest key first
        return new(row.select(0, 0).select(1, 0).flip(1).to_type(ScalarType.Float32), lowest, queries.Positions(device), keys.Positions(device));
    }
}
