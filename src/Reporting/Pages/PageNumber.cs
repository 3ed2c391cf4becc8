using System.Globalization;

namespace Trainer.Reporting;

/// <summary>Numbers as a page keeps them.</summary>
internal static class PageNumber
{
    /// <summary>Six figures: more than a plot or a read-out shows, and a page of half the size. What is not finite is null, since JSON
    /// has no such number.</summary>
    public static double? Rounded(double? value) =>
        value is { } number && double.IsFinite(number)
            ? double.Parse(number.ToString("G6", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
            : null;
}
