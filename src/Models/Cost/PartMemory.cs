namespace Trainer.Models;

/// <summary>Measured bytes of one part of a model beside its weights: a block, or what comes before or after the blocks.</summary>
/// <remarks><c>Shared</c> is made by the first block of its kind, for all: masks, tables. <c>Held</c> stays until the loss is computed,
/// <c>Kept</c> until the backward pass. <c>Forward</c> and <c>Backward</c> are peaks, the latter with what is kept, of gradients only with
/// those just made.</remarks>
internal readonly record struct PartMemory(double Shared, double Held, double Kept, double Forward, double Backward)
{
    public static PartMemory operator +(PartMemory a, PartMemory b) =>
        new(a.Shared + b.Shared, a.Held + b.Held, a.Kept + b.Kept, a.Forward + b.Forward, a.Backward + b.Backward);

    public static PartMemory operator *(double factor, PartMemory part) =>
        new(factor * part.Shared, factor * part.Held, factor * part.Kept, factor * part.Forward, factor * part.Backward);

    /// <summary>The median of each figure: the runtime takes and returns memory while parts run.</summary>
    public static PartMemory Median(PartMemory a, PartMemory b, PartMemory c)
    {
        return new(
            Of(a.Shared, b.Shared, c.Shared), Of(a.Held, b.Held, c.Held), Of(a.Kept, b.Kept, c.Kept),
            Of(a.Forward, b.Forward, c.Forward), Of(a.Backward, b.Backward, c.Backward));

        static double Of(double x, double y, double z) => Math.Max(Math.Min(x, y), Math.Min(Math.Max(x, y), z));
    }

    /// <summary>The value at <paramref name="at"/> on the line through two others.</summary>
    public static PartMemory Line((double At, PartMemory Value) a, (double At, PartMemory Value) b, double at) =>
        (b.At - at) / (b.At - a.At) * a.Value + (at - a.At) / (b.At - a.At) * b.Value;
}
