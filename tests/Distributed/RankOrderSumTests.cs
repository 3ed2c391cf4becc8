using System.Runtime.CompilerServices;
using static TorchSharp.torch;

namespace Trainer.Distributed.Tests;

public sealed class RankOrderSumTests
{
    [Theory]
    [InlineData(ScalarType.Float32, 1, 2)]
    [InlineData(ScalarType.Float32, 5003, 3)]
    [InlineData(ScalarType.Float64, 5003, 4)]
    [InlineData(ScalarType.BFloat16, 1, 2)]
    [InlineData(ScalarType.BFloat16, 5003, 1)]
    [InlineData(ScalarType.BFloat16, 5003, 5)]
    public void Terms_are_added_one_after_the_other(ScalarType type, int count, int ranks)
    {
        using var scope = NewDisposeScope();
        var terms = Enumerable.Range(0, ranks).Select(rank => (sin(arange(count) * (rank + 1.3)) * Math.Pow(10, rank)).to(type)).ToArray();
        var wide = type == ScalarType.BFloat16 ? ScalarType.Float32 : type;
        var expected = terms.Skip(1).Aggregate(terms[0].to(wide), (sum, term) => sum + term.to(wide)).to(type);
        Run(type, terms, terms[^1], count);
        Assert.Equal(expected.bytes.ToArray(), terms[^1].bytes.ToArray());
    }

    [Theory]
    [InlineData(-0f, -0f)]
    [InlineData(float.NaN, 1f)]
    [InlineData(float.PositiveInfinity, float.NegativeInfinity)]
    [InlineData(3.3895314e38f, 3.3895314e38f)]
    [InlineData(1f, 0.00390625f)] // half of the last place, to even
    [InlineData(1.0078125f, 0.00390625f)] // half of the last place, away from odd
    [InlineData(1e-40f, 1e-40f)]
    public void BFloat16_is_rounded_as_libtorch_does(float first, float second)
    {
        using var scope = NewDisposeScope();
        // 19: with and without vectors.
        Tensor[] terms = [full(19, first).to(ScalarType.BFloat16), full(19, second).to(ScalarType.BFloat16)];
        var expected = (terms[0].to(ScalarType.Float32) + terms[1].to(ScalarType.Float32)).to(ScalarType.BFloat16);
        Run(ScalarType.BFloat16, terms, terms[0], 19);
        Assert.True(float.IsNaN(expected[0].to(ScalarType.Float32).item<float>())
            ? terms[0].to(ScalarType.Float32).isnan().all().item<bool>()
            : expected.bytes.SequenceEqual(terms[0].bytes), $"{first} and {second} became {terms[0].to(ScalarType.Float32)[18]}");
    }

    private static void Run(ScalarType type, Tensor[] terms, Tensor target, int count) =>
        RankOrderSum.Run(type, [.. terms.Select(Address)], Address(target), count);

    private static unsafe nint Address(Tensor tensor) => (nint)Unsafe.AsPointer(ref tensor.bytes[0]);
}
