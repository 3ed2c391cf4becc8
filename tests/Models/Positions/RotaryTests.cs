using TorchSharp;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Positions;

public class RotaryTests
{
    private static readonly RotaryOptions Interleaved = new() { Layout = RotaryLayout.Interleaved };

    public static TheoryData<RotaryLayout, double> Layouts() => new(
        from layout in Enum.GetValues<RotaryLayout>()
        from fraction in (double[])[1, 0.5]
        select (layout, fraction));

    [Theory]
    [InlineData(RotaryLayout.HalfSplit)]
    [InlineData(RotaryLayout.Interleaved)]
    public void Rotation_at_position_one_has_the_angles_of_the_book(RotaryLayout layout)
    {
        using DisposeScope scope = NewDisposeScope();
        // The unit vectors of the first half: each turns towards its partner in the second half.
        double[] cosines = [.5403, .9989, 1.0000], sines = [.8415, .0464, .0022];
        using RotaryPositions rotary = new(new() { Layout = layout }, 6, 4);
        for (int i = 0; i < 3; i++)
        {
            (int first, int second) = layout == RotaryLayout.HalfSplit ? (i, i + 3) : (2 * i, 2 * i + 1);
            float[] unit = new float[6];
            unit[first] = 1;
            double[] expected = new double[6];
            (expected[first], expected[second]) = (cosines[i], sines[i]);
            Tensor turned = rotary.Rotate(tensor(unit).view(1, 1, 1, 6), Models.At(1));
            TensorAssert.Equal(expected, turned, 5e-5);
            Assert.Equal(2, turned.count_nonzero().item<long>());
        }
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Position_zero_stays_as_it_is(RotaryLayout layout, double fraction)
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(new() { Layout = layout, Fraction = fraction }, 8, 4);
        Tensor heads = randn(1, 1, 2, 8);
        TensorAssert.Same(heads, rotary.Rotate(heads, Models.At(0)));
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Scores_depend_on_distance_alone(RotaryLayout layout, double fraction)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(6);
        using RotaryPositions rotary = new(new() { Layout = layout, Fraction = fraction }, 8, 4);
        Tensor query = randn(1, 1, 1, 8), key = randn(1, 1, 1, 8);
        double Score(int q, int k) => rotary.Rotate(query, Models.At(q)).mul(rotary.Rotate(key, Models.At(k))).sum().item<float>();
        Assert.Equal(Score(5, 2), Score(103, 100), 1e-4);
        Assert.NotEqual(Score(5, 2), Score(5, 3), 1e-3);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(0.5)]
    public void Layouts_differ_by_the_order_of_dimensions_alone(double fraction)
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions interleaved = new(Interleaved with { Fraction = fraction }, 8, 4);
        using RotaryPositions half = new(new() { Fraction = fraction }, 8, 4);
        int turned = (int)(8 * fraction);
        // Dimension i of a half-split head is dimension order[i] of the interleaved one.
        long[] order = [.. Enumerable.Range(0, 8).Select(i => (long)(i >= turned ? i : i < turned / 2 ? 2 * i : 2 * (i - turned / 2) + 1))];
        Tensor heads = randn(2, 5, 3, 8), permuted = heads.index_select(3, tensor(order));
        Tensor expected = interleaved.Rotate(heads, Models.At(7)).index_select(3, tensor(order));
        TensorAssert.Close(expected, half.Rotate(permuted, Models.At(7)), 1e-6);
        Assert.False(expected.Equals(half.Rotate(heads, Models.At(7))));
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void The_part_that_is_not_turned_passes_through(RotaryLayout layout, double fraction)
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(new() { Layout = layout, Fraction = fraction }, 8, 4);
        int turned = (int)(8 * fraction);
        Tensor heads = randn(2, 3, 2, 8);
        Tensor result = rotary.Rotate(heads, Models.At(1));
        TensorAssert.Same(heads.narrow(3, turned, 8 - turned), result.narrow(3, turned, 8 - turned));
        Assert.False(heads.narrow(3, 0, turned).Equals(result.narrow(3, 0, turned)));
    }

    [Fact]
    public void A_longer_sequence_extends_the_table_without_changing_it()
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(new(), 8, 2), large = new(new(), 8, 64);
        Tensor heads = randn(1, 40, 1, 8);
        rotary.Rotate(heads.narrow(1, 0, 2), Models.At(0));
        TensorAssert.Same(large.Rotate(heads, Models.At(3)), rotary.Rotate(heads, Models.At(3)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Heads_at_odd_places_of_their_storage_are_turned_like_others(int length)
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(Interleaved, 4, 8);
        Tensor rows = randn(1, length, 1, 7); // a latent of three numbers before each head
        Tensor heads = rows.narrow(3, 3, 4);
        TensorAssert.Same(
            rotary.Rotate(heads.add(0).reshape(-1).clone().view(heads.shape), Models.At(2)), rotary.Rotate(heads, Models.At(2)));
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void Every_token_can_have_a_position_of_its_own(RotaryLayout layout, double fraction)
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(new() { Layout = layout, Fraction = fraction }, 8, 4);
        Tensor heads = randn(2, 3, 2, 8);
        long[][] positions = [[0, 1, 2], [40, 0, 17]];
        using AttentionContext context = new() { Positions = tensor([.. positions.SelectMany(row => row)], [2, 3]), PositionLimit = 41 };
        Tensor actual = rotary.Rotate(heads, context);
        for (int row = 0; row < 2; row++)
        for (int column = 0; column < 3; column++)
        {
            Tensor token = heads.narrow(0, row, 1).narrow(1, column, 1);
            Tensor expected = rotary.Rotate(token, Models.At((int)positions[row][column]));
            TensorAssert.Close(expected, actual.narrow(0, row, 1).narrow(1, column, 1), 1e-6);
        }
    }

    [Theory]
    [MemberData(nameof(Layouts))]
    public void The_attention_factor_is_on_the_turned_dimensions_once(RotaryLayout layout, double fraction)
    {
        using DisposeScope scope = NewDisposeScope();
        YarnScaling yarn = new() { Factor = 4, AttentionFactor = 1.5 };
        using RotaryPositions rotary = new(new() { Layout = layout, Fraction = fraction, Scaling = yarn }, 8, 64);
        int turned = (int)(8 * fraction);
        Tensor heads = randn(1, 5, 1, 8), result = rotary.Rotate(heads, Models.At(9));
        Near(1.5, Length(result, 0, turned) / Length(heads, 0, turned));
        if (turned < 8) Near(1, Length(result, turned, 8 - turned) / Length(heads, turned, 8 - turned));
        Assert.Equal(1, rotary.ScoreFactor);

        static double Length(Tensor heads, int start, int count) => heads.narrow(3, start, count).norm().item<float>();
        static void Near(double expected, double actual) => Assert.Equal(expected, actual, 1e-5);
    }

    [Fact]
    public void Interpolated_positions_are_fractions_of_trained_ones()
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions plain = new(new(), 8, 16), scaled = new(new() { Scaling = new LinearScaling { Factor = 4 } }, 8, 64);
        Tensor heads = randn(1, 1, 2, 8);
        TensorAssert.Close(plain.Rotate(heads, Models.At(15)), scaled.Rotate(heads, Models.At(60)), 1e-6);
    }

    [Fact]
    public void Dynamic_frequencies_are_those_of_the_whole_sequence()
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions plain = new(new(), 8, 16), dynamic = new(new() { Scaling = new DynamicNtkScaling() }, 8, 16);
        using RotaryPositions doubled = new(new() { Scaling = new NtkScaling { Factor = 2 } }, 8, 32);
        Tensor heads = randn(1, 1, 2, 8);
        foreach (int maxLength in (int[])[16, 32, 9, 32, 16])
        {
            RotaryPositions expected = maxLength == 32 ? doubled : plain;
            using AttentionContext context = new() { Offset = 7, PositionLimit = 8, MaxLength = maxLength };
            TensorAssert.Same(expected.Rotate(heads, context), dynamic.Rotate(heads, context));
        }
    }
}
