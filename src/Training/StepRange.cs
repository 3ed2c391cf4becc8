using System.Globalization;

namespace Trainer.Training;

/// <summary>Two steps on a command line.</summary>
public static class StepRange
{
    /// <summary>Reads two whole numbers such as <c>20:30</c>; null where it is anything else.</summary>
    public static (long From, long To)? Parse(string text) =>
        text.Split(':') is [var first, var second]
        && long.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out long from)
        && long.TryParse(second, NumberStyles.None, CultureInfo.InvariantCulture, out long to)
            ? (from, to)
            : null;
}
