namespace Trainer.Training.Spikes;

/// <summary>The first place of a step where numbers leave their range.</summary>
/// <param name="Layer">The part of the model, such as <c>blocks.3.mixer</c>.</param>
/// <param name="Pass"><c>forward</c> for what the part computes, <c>backward</c> for the gradients of that.</param>
/// <param name="Row">The row of the step in which it is worst.</param>
/// <param name="Rows">In how many rows it is so.</param>
/// <param name="Why">What is out of range there.</param>
internal sealed record OutOfRange(string Layer, string Pass, int Row, int Rows, string Why)
{
    /// <summary>How many times as large as in the other rows, by their median, a row's norm is out of range.</summary>
    public const double Factor = 8;

    /// <summary>Looks for numbers that are not finite, or too large to be squared, forwards and then on the way back; then, in the same
    /// order, for a row whose norm is <see cref="Factor"/> times the median of the others'. null where all is in range.</summary>
    public static OutOfRange? Find(StepMeasurement step)
    {
        (string Layer, string Pass, IReadOnlyList<TensorFigures> Rows)[] places =
        [
            .. step.Layers.Select(layer => (layer.Name, "forward", layer.Activations)),
            .. step.Layers.Reverse().Select(layer => (layer.Name, "backward", layer.Gradients)),
        ];
        int head = step.Layers.Count;
        return First(places[..head], Wrong)
            ?? Head(step)
            ?? First(places[head..], Wrong)
            ?? First(places, Large);

        OutOfRange? First(
            (string Layer, string Pass, IReadOnlyList<TensorFigures> Rows)[] some,
            Func<IReadOnlyList<TensorFigures>, (int Row, int Count, string Why)?> look) =>
            some.Select(place => look(place.Rows) is var (row, count, why)
                ? new OutOfRange(place.Layer, place.Pass, step.Rows[row].Row, count, why)
                : null).FirstOrDefault(found => found is not null);
    }

    private static (int Row, int Count, string Why)? Wrong(IReadOnlyList<TensorFigures> rows)
    {
        int count = rows.Count(row => row.IsOutOfRange);
        if (count == 0) return null;
        (int worst, TensorFigures figures) = rows.Index().MaxBy(row => (row.Item.NonFinite, row.Item.Largest));
        return (worst, count, figures.NonFinite > 0
            ? $"{figures.NonFinite:N0} numbers are not finite"
            : $"the largest number, {Figures.Of(figures.Largest)}, is too large to be squared");
    }

    private static (int Row, int Count, string Why)? Large(IReadOnlyList<TensorFigures> rows)
    {
        if (rows.Count < 2) return null;
        double[] sorted = [.. rows.Select(row => row.Norm).Order()];
        double median = sorted[(rows.Count - 2) / 2]; // of the rows but the largest
        int count = sorted.Count(norm => norm > Factor * median);
        return count == 0 || median == 0
            ? null
            : (rows.Index().MaxBy(row => row.Item.Norm).Index, count,
                $"a norm of {Figures.Of(sorted[^1])}, {Figures.Of(sorted[^1] / median)} times the median of the other rows, {Figures.Of(median)}");
    }

    private static OutOfRange? Head(StepMeasurement step)
    {
        RowMeasurement[] rows = [.. step.Rows.Where(row => row.Loss is { } loss && !double.IsFinite(loss))];
        return rows.Length == 0 ? null : new("head", "forward", rows[0].Row, rows.Length, $"a loss of {Figures.Of(rows[0].Loss!.Value)}");
    }
}
