using System.Globalization;

namespace Trainer.Training.Spikes;

/// <summary>Numbers and texts of a step for people.</summary>
internal static class Figures
{
    /// <summary>Four figures, whatever the size; NaN and infinities by their names.</summary>
    public static string Of(double value) => value.ToString("G4", CultureInfo.InvariantCulture);

    /// <summary>A text on one line, with control characters as escapes, which could steer a terminal.</summary>
    public static string Printable(string text) =>
        string.Concat(text.Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : c.ToString()));
}
