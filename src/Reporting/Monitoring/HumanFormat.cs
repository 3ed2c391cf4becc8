using System.Globalization;

namespace Trainer.Reporting.Monitoring;

/// <summary>Numbers for people: three figures and a unit, culture-invariant.</summary>
public static class HumanFormat
{
    private static readonly string[] CountUnits = ["", "k", "M", "B", "T"];
    private static readonly string[] ByteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    /// <summary>All digits, in groups of three: <c>1,240</c>.</summary>
    public static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A number and what it counts: <c>1 record</c>, <c>1,240 records</c>.</summary>
    public static string Counted(long count, string singular) => $"{Number(count)} {singular}{(count == 1 ? "" : "s")}";

    /// <summary>Three figures and a suffix of thousands: <c>13.2k</c>, <c>1.05M</c>, <c>7.24B</c>; <c>950</c> as it is.</summary>
    public static string Compact(double value)
    {
        if (!double.IsFinite(value))
            return value.ToString(CultureInfo.InvariantCulture);
        var (scaled, unit) = Scale(value, 1000, CountUnits.Length - 1);
        return ThreeFigures(scaled, whole: unit == 0 && Math.Abs(value) == Math.Floor(Math.Abs(value))) + CountUnits[unit];
    }

    /// <summary>Parameters in the units of model names: <c>0.80 M</c>, <c>124 M</c>, <c>7.24 B</c>; up to 9,999 all digits.</summary>
    public static string Parameters(long count) => count switch
    {
        < 10_000 => Number(count),
        < 999_500_000 => ThreeFigures(count / 1e6, whole: false) + " M",
        _ => ThreeFigures(count / 1e9, whole: false) + " B",
    };

    /// <summary>Bytes in binary units: <c>812 B</c>, <c>1.50 GiB</c>.</summary>
    public static string Bytes(long bytes)
    {
        var (scaled, unit) = Scale(bytes, 1024, ByteUnits.Length - 1);
        return $"{ThreeFigures(scaled, whole: unit == 0)} {ByteUnits[unit]}";
    }

    /// <summary>A measured time: <c>38.2 ms</c>, <c>4.21 s</c>, <c>1:32</c>, <c>2:03:10</c>, <c>3 d 04:10</c>.</summary>
    internal static string Duration(TimeSpan time)
    {
        if (time.TotalSeconds < 0.9995)
            return ThreeFigures(time.TotalMilliseconds, whole: false) + " ms";
        if (time.TotalSeconds < 9.995)
            return ThreeFigures(time.TotalSeconds, whole: false) + " s";
        return Clock(time);
    }

    /// <summary>A time to the second: <c>0:04</c>, <c>1:32</c>, <c>2:03:10</c>, <c>3 d 04:10</c>.</summary>
    internal static string Clock(TimeSpan time)
    {
        time = TimeSpan.FromSeconds(Math.Round(time.TotalSeconds));
        return time.ToString(time switch
        {
            { TotalHours: < 1 } => @"m\:ss",
            { TotalDays: < 1 } => @"h\:mm\:ss",
            _ => @"d\ \d\ hh\:mm",
        }, CultureInfo.InvariantCulture);
    }

    /// <summary>A rough time: <c>45 s</c>, <c>3 min 20 s</c>, <c>24 min</c>, <c>2 h 05 min</c>, <c>3 d 4 h</c>.</summary>
    public static string Estimate(TimeSpan time)
    {
        var seconds = (long)Math.Round(time.TotalSeconds);
        if (seconds < 60)
            return $"{seconds} s";
        if (seconds < 600)
        {
            var fives = (long)Math.Round(time.TotalSeconds / 5) * 5;
            return fives == 600 ? "10 min" : $"{fives / 60} min {fives % 60:D2} s";
        }
        var minutes = (long)Math.Round(time.TotalMinutes);
        if (minutes < 60)
            return $"{minutes} min";
        if (minutes < 24 * 60)
            return $"{minutes / 60} h {minutes % 60:D2} min";
        var hours = (long)Math.Round(time.TotalHours);
        return $"{hours / 24} d {hours % 24} h";
    }

    /// <summary><c>8.2e-4</c>, <c>1.0e-3</c>, <c>0</c>.</summary>
    internal static string Rate(double value) => value == 0 ? "0" : value.ToString("0.0e-0", CultureInfo.InvariantCulture);

    /// <summary>A loss with four decimals: <c>1.8312</c>; <c>NaN</c> stays visible.</summary>
    public static string Loss(double value) => value.ToString("F4", CultureInfo.InvariantCulture);

    internal static string Percent(double share) => (share * 100).ToString("F0", CultureInfo.InvariantCulture) + " %";

    /// <summary>Three significant figures, rounded before the decimals are chosen, so that 9.996 is 10.0 and not 10.00.</summary>
    private static string ThreeFigures(double value, bool whole)
    {
        var size = Math.Abs(value);
        var decimals = whole ? 0 : size switch { < 9.995 => 2, < 99.95 => 1, _ => 0 };
        return value.ToString("F" + decimals, CultureInfo.InvariantCulture);
    }

    private static (double Scaled, int Unit) Scale(double value, double step, int largest)
    {
        var unit = 0;
        // What rounds up to a fourth figure belongs to the next unit: 999.6k is 1.00M.
        for (; unit < largest && Math.Abs(value) >= (unit == 0 ? step : step - 0.5); unit++)
            value /= step;
        return (value, unit);
    }
}
