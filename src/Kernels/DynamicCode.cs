using System.Collections.Concurrent;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Kernels;

/// <summary>The 256 numbers that 8 bits of an optimizer's moments stand for, times the largest of their block: a decimal exponent of 1 to 7
/// digits, and the more fraction the larger the number is (dynamic tree quantization, Dettmers et al. 2022, arXiv 2110.02861,
/// §1.3).</summary>
internal sealed class DynamicCode
{
    private const int Exponents = 7;

    // Subnormal ones are 0, whether or not the processor takes them for it.
    private const float Smallest = 1.17549435e-38f;

    private readonly bool signed;
    private readonly float[] bounds; // midpoints without ∞

    // Of each GPU: to make one again is to wait for all that it has to do.
    private readonly ConcurrentDictionary<(float[] Numbers, int Gpu), Tensor> tables = [];

    private DynamicCode(bool signed)
    {
        this.signed = signed;
        List<float> values = [0, 1];
        for (int exponent = 0; exponent < Exponents; exponent++)
        {
            int fractions = 1 << (signed ? exponent : exponent + 1);
            for (int i = 0; i < fractions; i++)
            {
                // The middle of one of the equal parts of 0.1 … 1.
                double value = (0.1 + 0.9 * (i + 0.5) / fractions) * Math.Pow(10, exponent - Exponents + 1);
                values.Add((float)value);
                if (signed) values.Add(-(float)value);
            }
        }
        values.Sort();
        Values = [.. values];
        Zero = (byte)values.IndexOf(0);
        bounds = [.. values.Zip(values.Skip(1), (low, high) => (low + high) / 2)];
        Midpoints = [.. bounds, float.PositiveInfinity];
        First = new byte[1 << 16];
        for (int bits = 0; bits < First.Length; bits++) First[bits] = FirstOf(bits);
    }

    /// <summary>From −0.99 to 1, for the mean of gradients.</summary>
    public static DynamicCode Signed { get; } = new(signed: true);

    /// <summary>From 0 to 1, for the mean of their squares. What is not 0 is not rounded to it, as the step is divided by its root (Li et
    /// al. 2023, arXiv 2309.01507, §4.1).</summary>
    public static DynamicCode Unsigned { get; } = new(signed: false);

    /// <summary>Ascending.</summary>
    public float[] Values { get; }

    /// <summary>The code of 0.</summary>
    public byte Zero { get; }

    /// <summary>Between each number and the next, and behind the last ∞: the code of x is the number of those below x.</summary>
    public float[] Midpoints { get; }

    /// <summary>By the upper 16 bits of a number, the code of the smallest that has them; that of others is the same or the next, as
    /// their range has one midpoint at most.</summary>
    public byte[] First { get; }

    /// <summary>Numbers between −1 and 1 (…), float32 → codes, uint8, of the nearest.</summary>
    public Tensor Encode(Tensor numbers)
    {
        Tensor codes = bucketize(numbers, Table(bounds, numbers.device));
        return (signed ? codes : codes.maximum(numbers.ge(Smallest))).to(ScalarType.Byte);
    }

    /// <summary>Codes (…), uint8 → numbers, float32.</summary>
    public Tensor Decode(Tensor codes) =>
        Table(Values, codes.device).index_select(0, codes.to(ScalarType.Int64).reshape(-1)).view(codes.shape);

    private Tensor Table(float[] numbers, Device device) => device.type == DeviceType.CUDA
        ? tables.GetOrAdd((numbers, device.index), _ => tensor(numbers, device: device).DetachFromDisposeScope())
        : tensor(numbers, device: device);

    private byte FirstOf(int bits)
    {
        bool negative = bits >> 15 == 1;
        float lowest = BitConverter.Int32BitsToSingle(negative ? (bits << 16) | 0xFFFF : bits << 16);
        int code = 0;
        while (lowest > Midpoints[code]) code++;
        return (byte)(signed || lowest < Smallest ? code : Math.Max(code, 1));
    }
}
