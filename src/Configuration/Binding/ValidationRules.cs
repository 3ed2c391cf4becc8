using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Globalization;

namespace Trainer.Configuration.Binding;

internal static class ValidationRules
{
    private static readonly double[] Unlimited = [int.MaxValue, long.MaxValue, float.MaxValue, double.MaxValue, double.PositiveInfinity];

    /// <summary>Whether a rule counts characters or items, and so concerns a list and not its items.</summary>
    public static bool IsAboutCount(ValidationAttribute rule) =>
        rule is MinLengthAttribute or MaxLengthAttribute or LengthAttribute or StringLengthAttribute or RequiredAttribute;

    public static (string Fault, string Allowed)? Broken(ValidationAttribute rule, object value, string shown) => rule switch
    {
        RangeAttribute range => InRange(range, value) ? null : ($"{shown} is out of range", Allowed(range)),
        AllowedValuesAttribute among => among.IsValid(value) ? null : ($"{shown} is not allowed", Join(among.Values)),
        RequiredAttribute => rule.IsValid(value) ? null : ($"{shown} is empty", "text"),
        _ when CountLimits(rule) is { } limits => InLimits(limits, Count(value)) ? null : ($"has {Counted(value)}", Allowed(limits)),
        _ => rule.IsValid(value) ? null : ($"{shown} is not allowed", rule.FormatErrorMessage("this")),
    };

    /// <summary>Null for an open end. RangeAttribute itself would convert 1.4 to the bounds' type and pass it for Range(0, 1).</summary>
    public static (double? Minimum, double? Maximum) Bounds(RangeAttribute range)
    {
        var minimum = Convert.ToDouble(range.Minimum, CultureInfo.InvariantCulture);
        var maximum = Convert.ToDouble(range.Maximum, CultureInfo.InvariantCulture);
        return (Unlimited.Contains(-minimum) || minimum == int.MinValue ? null : minimum, Unlimited.Contains(maximum) ? null : maximum);
    }

    public static (int Minimum, int? Maximum)? CountLimits(ValidationAttribute rule) => rule switch
    {
        MinLengthAttribute least => (least.Length, null),
        MaxLengthAttribute most => (0, most.Length < 0 ? null : most.Length),
        LengthAttribute both => (both.MinimumLength, both.MaximumLength),
        StringLengthAttribute both => (both.MinimumLength, both.MaximumLength),
        _ => null,
    };

    private static bool InRange(RangeAttribute range, object value)
    {
        var number = Convert.ToDouble(value, CultureInfo.InvariantCulture);
        var (minimum, maximum) = Bounds(range);
        var above = minimum is not { } low || (range.MinimumIsExclusive ? number > low : number >= low);
        var below = maximum is not { } high || (range.MaximumIsExclusive ? number < high : number <= high);
        return above && below;
    }

    private static string Allowed(RangeAttribute range)
    {
        var (minimum, maximum) = Bounds(range);
        if (minimum is { } from && maximum is { } to && !range.MinimumIsExclusive && !range.MaximumIsExclusive)
            return string.Create(CultureInfo.InvariantCulture, $"{from} to {to}");
        var low = minimum is null
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"{(range.MinimumIsExclusive ? "more than" : "at least")} {minimum}");
        var high = maximum is null
            ? null
            : string.Create(CultureInfo.InvariantCulture, $"{(range.MaximumIsExclusive ? "less than" : "at most")} {maximum}");
        return string.Join(" and ", new[] { low, high }.Where(part => part is not null));
    }

    private static string Allowed((int Minimum, int? Maximum) limits) =>
        limits.Maximum is not { } most ? $"at least {limits.Minimum}"
        : limits.Minimum == most ? $"exactly {most}"
        : limits.Minimum == 0 ? $"at most {most}"
        : $"{limits.Minimum} to {most}";

    private static bool InLimits((int Minimum, int? Maximum) limits, int count) =>
        count >= limits.Minimum && (limits.Maximum is not { } most || count <= most);

    private static int Count(object value) => value is string text ? text.Length : ((ICollection)value).Count;

    private static string Counted(object value)
    {
        var count = Count(value);
        return $"{count} {(value is string ? "character" : "item")}{(count == 1 ? "" : "s")}";
    }

    private static string Join(object?[] values) =>
        string.Join(", ", values.Select(value => Convert.ToString(value, CultureInfo.InvariantCulture)));
}
