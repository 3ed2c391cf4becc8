// Shapes: B batch, T positions, H heads, D head dimension, R turned dimensions of a head, W width of a table's row.
using Trainer.Kernels;
using Trainer.Models.Positions.Scaling;
using static TorchSharp.torch;

namespace Trainer.Models.Positions;

/// <summary>Turns queries and keys by their positions.</summary>
/// <remarks>Safe for several threads.</remarks>
internal sealed class RotaryPositions : PositionEncoding
{
    private readonly RotaryOptions options;
    private readonly int headDim;
    private readonly int contextLength;
    private readonly int turned;
    private readonly RotaryTurn layout;
    private readonly Lock gate = new();
    private PositionTable table;
    private int tableLength; // the length that decided the frequencies in the table

    /// <param name="options">Base, scaling and layout.</param>
    /// <param name="headDim">Width of a head, D.</param>
    /// <param name="contextLength">Positions the model is made for.</param>
    public RotaryPositions(RotaryOptions options, int headDim, int contextLength)
        : base(nameof(RotaryPositions))
    {
        (this.options, this.headDim, this.contextLength) = (options, headDim, contextLength);
        turned = options.TurnedDims(headDim);
        layout = RotaryTurn.Of(options.Layout);
        tableLength = Deciding(0);
        table = Table(tableLength);
    }

    public override bool RotatesHeads => true;

    public override double ScoreFactor => options.Scaling?.ScoreFactor(contextLength) ?? 1;

    public override Tensor Rotate(Tensor heads, ForwardPass pass)
    {
        Tensor rows = Rows(pass, (int)heads.size(1), heads.device); // (T, W) or (B, T, W)
        if (turned == headDim) return layout.Turn(heads, rows);
        Tensor[] parts = heads.split([turned, headDim - turned], -1);
        return cat([layout.Turn(parts[0], rows), parts[1]], -1); // (B, T, H, R) + (B, T, H, D−R) → (B, T, H, D)
    }

    public override RotaryAngles? Angles(ForwardPass pass, int count, Device device) =>
        new(Rows(pass, count, device), turned, options.Layout == RotaryLayout.Interleaved);

    protected override void Dispose(bool disposing)
    {
        if (disposing) table.Dispose();
        base.Dispose(disposing);
    }

    private Tensor Rows(ForwardPass pass, int count, Device device)
    {
        lock (gate)
        {
            int deciding = Deciding(pass.Horizon);
            if (deciding != tableLength)
            {
                table.Dispose();
                (table, tableLength) = (Table(deciding), deciding);
            }
            return table.Rows(pass, count, device);
        }
    }

    private int Deciding(int length) => options.Scaling?.DecidingLength(contextLength, length) ?? contextLength;

    private PositionTable Table(int length)
    {
        RotaryFrequencies frequencies = RotaryFrequencies.Of(turned, options.Theta, options.Scaling, contextLength, length);
        return new(Rows, contextLength);

        Tensor Rows(Tensor positions)
        {
            Tensor angles = positions.mul(tensor(frequencies.Angular)); // (T, 1)·(R/2) → (T, R/2)
            return layout.Rows(angles.cos().mul(frequencies.AttentionFactor), angles.sin().mul(frequencies.AttentionFactor));
        }
    }
}
