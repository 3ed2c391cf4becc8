using System.Runtime.Intrinsics;

namespace Trainer.Kernels.Tests;

/// <summary>Every width computes what a single number does, bit by bit; those that this processor lacks run in .NET's emulation.</summary>
public sealed unsafe class LanesTests
{
    private static readonly float[] Numbers =
    [
        0f, -0f, 1f, -1.5f, 3.14159f, -2.7e5f, 1e-30f, -7.1e-39f, float.PositiveInfinity, float.NegativeInfinity, float.NaN, 0.1f, -0.7f,
        123456.7f, 1e20f, -5e-5f,
    ];

    [Theory]
    [InlineData(4)]
    [InlineData(8)]
    [InlineData(16)]
    public void Every_width_gives_the_bits_of_one_number(int width)
    {
        float[] expected = Evaluate<Lanes1>(out ushort[] expectedRounded);
        ushort[] rounded;
        float[] actual = width switch
        {
            4 => Evaluate<Lanes4>(out rounded),
            8 => Evaluate<Lanes8>(out rounded),
            _ => Evaluate<Lanes16>(out rounded),
        };
        Assert.Equal(expectedRounded, rounded);
        for (int i = 0; i < expected.Length; i++)
        {
            bool same = float.IsNaN(expected[i])
                ? float.IsNaN(actual[i])
                : BitConverter.SingleToInt32Bits(expected[i]) == BitConverter.SingleToInt32Bits(actual[i]);
            Assert.True(same, $"operation {i / Numbers.Length} of {Numbers[i % Numbers.Length]}: {actual[i]}, not {expected[i]}");
        }
    }

    [Fact]
    public void Sums_and_maxima_are_over_all_lanes()
    {
        float* numbers = stackalloc float[16];
        for (int i = 0; i < 16; i++) numbers[i] = i * i % 17;
        Assert.Equal((Enumerable.Range(0, 4).Sum(i => i * i % 17), 9f),
            (Lanes4.Sum(Lanes4.Load(numbers)), Lanes4.Max(Lanes4.Load(numbers))));
        Assert.Equal((Enumerable.Range(0, 8).Sum(i => i * i % 17), 16f),
            (Lanes8.Sum(Lanes8.Load(numbers)), Lanes8.Max(Lanes8.Load(numbers))));
        Assert.Equal((Enumerable.Range(0, 16).Sum(i => i * i % 17), 16f),
            (Lanes16.Sum(Lanes16.Load(numbers)), Lanes16.Max(Lanes16.Load(numbers))));
        Assert.Equal(Vector512.IsHardwareAccelerated ? 16 : Vector256.IsHardwareAccelerated ? 8 : 4, Lanes.Widest);
    }

    [Fact]
    public void Four_sums_have_the_bits_of_each()
    {
        FourSums<Lanes16>();
        FourSums<Lanes8>();
        FourSums<Lanes4>();
        FourSums<Lanes1>();
    }

    [Fact]
    public void Every_second_number_is_read_from_the_first_or_the_second_on()
    {
        EverySecond<Lanes16>();
        EverySecond<Lanes8>();
        EverySecond<Lanes4>();
        EverySecond<Lanes1>();
    }

    [Theory]
    [InlineData(1f, 0x3F80)]
    [InlineData(1.00390625f, 0x3F80)] // halfway between two, to the even one
    [InlineData(1.01171875f, 0x3F82)]
    [InlineData(float.MaxValue, 0x7F80)]
    [InlineData(float.NaN, 0x7FC0)]
    public void Rounding_is_to_nearest_ties_to_even(float number, int bits)
    {
        ushort* target = stackalloc ushort[8];
        Lanes8.StoreBFloat16(Lanes8.Broadcast(number), target);
        Assert.Equal((ushort)bits, target[7]);
    }

    private static void FourSums<T>() where T : unmanaged, ILanes<T>
    {
        float* numbers = stackalloc float[64];
        for (int i = 0; i < 64; i++) numbers[i] = MathF.Sin(i) * MathF.Exp(i % 7);
        T a = T.Load(numbers), b = T.Load(numbers + 16), c = T.Load(numbers + 32), d = T.Load(numbers + 48);
        Assert.Equal(Vector128.Create(T.Sum(a), T.Sum(b), T.Sum(c), T.Sum(d)), T.Sums(a, b, c, d));
    }

    private static void EverySecond<T>() where T : unmanaged, ILanes<T>
    {
        float* numbers = stackalloc float[32];
        ushort* rounded = stackalloc ushort[32];
        for (int i = 0; i < 32; i++)
        {
            numbers[i] = i - 7;
            Lanes1.StoreBFloat16(Lanes1.Load(numbers + i), rounded + i);
        }
        float* read = stackalloc float[4 * T.Count];
        T.Store(T.LoadEven(numbers), read);
        T.Store(T.LoadOdd(numbers), read + T.Count);
        T.Store(T.LoadBFloat16Even(rounded), read + 2 * T.Count);
        T.Store(T.LoadBFloat16Odd(rounded), read + 3 * T.Count);
        float[] expected = [.. Enumerable.Range(0, 2 * T.Count).Select(i => (float)(2 * (i % T.Count) + i / T.Count - 7))];
        Assert.Equal([.. expected, .. expected], new ReadOnlySpan<float>(read, 4 * T.Count));
    }

    private static float[] Evaluate<T>(out ushort[] rounded) where T : unmanaged, ILanes<T>
    {
        int n = Numbers.Length;
        float[] results = new float[13 * n];
        rounded = new ushort[n];
        fixed (float* source = Numbers, target = results)
        fixed (ushort* coarse = rounded)
        {
            for (int i = 0; i < n; i += T.Count)
            {
                T a = T.Load(source + i), b = T.Broadcast(0.3f), c = T.Broadcast(-1.25f);
                T[] made =
                [
                    a + b, a - b, a * b, a / c, -a, T.MultiplyAdd(a, b, c), T.Abs(a), T.Sqrt(a), T.MinNative(a, b), T.MaxNative(a, b),
                    T.SelectLess(a, b, c, a), T.CopySign(b, a), T.ExponentFromBits(a, 3),
                ];
                for (int j = 0; j < made.Length; j++) T.Store(made[j], target + j * n + i);
                T.StoreBFloat16(a, coarse + i);
                if (!T.LoadBFloat16(coarse + i).Equals(T.LoadBFloat16(coarse + i))) Assert.Contains(float.NaN, Numbers);
            }
        }
        return results;
    }
}
