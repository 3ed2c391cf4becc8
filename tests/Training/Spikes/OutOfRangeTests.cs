using Trainer.Models;
using Trainer.Training.Spikes;

namespace Trainer.Training.Tests.Spikes;

/// <summary>The rules by which a place is found, and their order, on figures made by hand.</summary>
public sealed class OutOfRangeTests
{
    // Rows are told by their numbers in the step, not by their places in what was measured.
    private const int FirstRow = 8;

    private static readonly TensorFigures Sound = new(Norm: 1, Largest: 0.5, NonFinite: 0), NotFinite = Sound with { NonFinite = 3 };

    [Theory]
    [InlineData(0.5, 3, "3 numbers are not finite")]
    [InlineData(2e20, 0, "the largest number, 2E+20, is too large to be squared")]
    public void Forwards_it_is_the_first_part_with_numbers_that_are_not_finite_or_too_large(double largest, long nonFinite, string why)
    {
        TensorFigures odd = new(1, largest, nonFinite);

        OutOfRange? found = OutOfRange.Find(Step(new("norm", "forward", 0, odd), new("blocks.0", "forward", 2, odd)));

        Assert.Equal(new OutOfRange("blocks.0", "forward", 10, 1, why), found);
    }

    [Fact]
    public void All_rows_are_counted_and_the_worst_is_named() => Assert.Equal(
        new OutOfRange("blocks.0", "forward", 9, 2, "5 numbers are not finite"),
        OutOfRange.Find(Step(
            new("blocks.0", "forward", 0, NotFinite), new("blocks.0", "forward", 1, Sound with { NonFinite = 5 }))));

    [Fact]
    public void A_loss_that_is_not_finite_is_of_the_head() => Assert.Equal(
        new OutOfRange("head", "forward", 9, 1, "a loss of NaN"), OutOfRange.Find(WithLoss(Step(), 1, double.NaN)));

    [Theory]
    [InlineData(0.5, 3, "3 numbers are not finite")]
    [InlineData(2e20, 0, "the largest number, 2E+20, is too large to be squared")]
    public void Backwards_it_is_the_last_part(double largest, long nonFinite, string why)
    {
        TensorFigures odd = new(1, largest, nonFinite);

        OutOfRange? found = OutOfRange.Find(Step(new("embedding", "backward", 0, odd), new("blocks.0", "backward", 3, odd)));

        Assert.Equal(new OutOfRange("blocks.0", "backward", 11, 1, why), found);
    }

    [Theory]
    [InlineData("forward")]
    [InlineData("backward")]
    public void Else_it_is_a_row_whose_norm_is_more_than_8_times_the_median_of_the_others(string pass)
    {
        Assert.Null(OutOfRange.Find(Step(new Odd("blocks.0", pass, 3, Sound with { Norm = 8 }))));
        Assert.Equal(
            new OutOfRange("blocks.0", pass, 11, 1, "a norm of 8.5, 8.5 times the median of the other rows, 1"),
            OutOfRange.Find(Step(new Odd("blocks.0", pass, 3, Sound with { Norm = 8.5 }))));
    }

    [Fact]
    public void What_is_wrong_forwards_comes_before_the_loss_and_gradients_and_then_come_norms()
    {
        // Each in a part that would come first if all rules were one.
        Odd forward = new("norm", "forward", 0, NotFinite), backward = new("blocks.0", "backward", 1, NotFinite);
        Odd large = new("embedding", "forward", 2, Sound with { Norm = 100 });

        Assert.Equal("norm forward", Place(WithLoss(Step(forward, backward, large), 3, double.PositiveInfinity)));
        Assert.Equal("head forward", Place(WithLoss(Step(backward, large), 3, double.PositiveInfinity)));
        Assert.Equal("blocks.0 backward", Place(Step(backward, large)));
        Assert.Equal("embedding forward", Place(Step(large)));
        Assert.Null(OutOfRange.Find(Step()));
    }

    private static string Place(StepMeasurement step) => OutOfRange.Find(step) is { } found ? $"{found.Layer} {found.Pass}" : "nowhere";

    /// <summary>Four rows and three parts, all alike but for the odd ones.</summary>
    private static StepMeasurement Step(params Odd[] odd)
    {
        LayerMeasurement Layer(string name, LayerKind kind) => new(name, kind, Rows(name, "forward"), Rows(name, "backward"));
        TensorFigures[] Rows(string name, string pass) => [.. Enumerable.Range(0, 4).Select(row =>
            odd.FirstOrDefault(each => (each.Layer, each.Pass, each.Row) == (name, pass, row))?.Figures ?? Sound)];
        return new(
            [.. Enumerable.Range(0, 4).Select(row => new RowMeasurement(FirstRow + row, 2, 16, []))],
            [Layer("embedding", LayerKind.Embedding), Layer("blocks.0", LayerKind.Residual), Layer("norm", LayerKind.Norm)]);
    }

    private static StepMeasurement WithLoss(StepMeasurement step, int row, double loss) =>
        step with { Rows = [.. step.Rows.Select((each, index) => index == row ? each with { Loss = loss } : each)] };

    /// <summary>What a part has in one row, in place of sound figures.</summary>
    private sealed record Odd(string Layer, string Pass, int Row, TensorFigures Figures);
}
