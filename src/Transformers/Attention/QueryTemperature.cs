// Shapes: B batch, T positions, H heads, D head dimension.
using Trainer.Transformers.Positions;
using static TorchSharp.torch;

namespace Trainer.Transformers.Attention;

/// <summary>Multiplies queries by a factor that grows with their position (<see cref="TemperatureOptions"/>).</summary>
internal sealed class QueryTemperature(TemperatureOptions options, int contextLength) : IDisposable
{
    private readonly PositionTable table = new(positions => Factors(positions, options), contextLength);

    /// <summary>The queries, each with its factor.</summary>
    /// <param name="query">(B, H, T, D)</param>
    /// <param name="pass">Where the tokens stand.</param>
    public Tensor Apply(Tensor query, ForwardPass pass)
    {
        Tensor factors = table.Rows(pass, (int)query.size(2), query.device).to_type(query.dtype); // (T, 1) or (B, T, 1)
        return query.mul(pass.Positions is null ? factors : factors.unsqueeze(1)); // (B, H, T, D)
    }

    public void Dispose() => table.Dispose();

    private static Tensor Factors(Tensor positions, TemperatureOptions options) =>
        positions.add(1).div(options.Floor).floor().log1p().mul(options.Scale).add(1); // (T, 1)
}
