using System.Globalization;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Weights;

/// <summary>A storage type's range, outside of which numbers are refused: from infinity programs compute NaN.</summary>
/// <remarks><c>Infinite</c>, half a step above <c>Largest</c>, is the smallest magnitude that rounds to infinity; <c>Instead</c> is the
/// option that helps.</remarks>
internal sealed record WeightRange(string Type, double Largest, double Infinite, string Instead)
{
    private const string Wider = "use --type bf16 or f32";

    private static readonly WeightRange
        Single = new("float32", float.MaxValue, double.PositiveInfinity, ""),
        Half = new("float16", 65504, 65520, Wider),
        Brain = new("bfloat16", Math.ScaleB(255, 120), Math.ScaleB(511, 119), "use --type f32");

    /// <summary>8-bit blocks, whose largest number is a float16 scale times 127.</summary>
    public static WeightRange Blocks { get; } = new("q8_0", 127 * Half.Largest, 127 * Half.Infinite, Wider);

    public static WeightRange Of(ScalarType type) => type switch { ScalarType.Float16 => Half, ScalarType.BFloat16 => Brain, _ => Single };

    public void Require(string name, Tensor numbers)
    {
        using Tensor high = numbers.max(), low = numbers.min(); // either is NaN where any number is
        (float greatest, float least) = (high.item<float>(), low.item<float>());
        float farthest = Math.Abs(least) > Math.Abs(greatest) ? least : greatest;
        if (!float.IsFinite(greatest) || !float.IsFinite(least))
            throw new UserException(
                $"{name} holds {(float.IsNaN(greatest) ? "NaN" : Text(farthest))}: with it the model computes nothing but NaN, "
                + "here and in other programs; export a checkpoint from before that");
        if (Math.Abs(farthest) >= Infinite)
            throw new UserException(
                $"{name} holds {Text(farthest)}, and {Type} ends at {Text(Largest)}: it would become infinity; {Instead}");
    }

    private static string Text(double number) =>
        double.IsInfinity(number) ? number > 0 ? "infinity" : "-infinity" : ((float)number).ToString("G7", CultureInfo.InvariantCulture);
}
