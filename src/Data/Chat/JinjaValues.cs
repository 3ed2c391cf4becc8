using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Trainer.Data.Chat;

// Values of templates are null (none), bool, long, double, string, JinjaList, JinjaDict, and those below.

/// <summary>An error in a value, which becomes a UserException where the line is known.</summary>
internal sealed class JinjaException(string message) : Exception(message);

/// <summary>An error in a template's syntax, which becomes a UserException where the template's name is known.</summary>
internal sealed class JinjaSyntaxException(int line, string message) : Exception(message)
{
    public int Line => line;
}

/// <summary>What a missing name or attribute gives: empty in output, an error if anything is asked of it; if strict, an error there as
/// well, and as a condition.</summary>
internal sealed record Undefined(string What, bool IsStrict)
{
    public JinjaException Error => new($"{What} is undefined");
}

/// <summary>What Python makes of several values.</summary>
internal enum ListKind
{
    List,
    Tuple,

    /// <summary>The keys, values or items of a dict.</summary>
    View,

    Range,

    /// <summary>What selectattr, map and items give: it can be walked once and is always true.</summary>
    Generator,
}

internal sealed class JinjaList(ListKind kind, IEnumerable<object?> items) : List<object?>(items)
{
    public ListKind Kind => kind;
}

/// <summary>A dict, in order of insertion; keys are strings or whole numbers.</summary>
internal sealed class JinjaDict : OrderedDictionary<object, object?>;

/// <summary>What namespace() makes: its attributes can be assigned to, also within a loop.</summary>
internal sealed class JinjaNamespace
{
    public Dictionary<string, object?> Attributes { get; } = [];
}

/// <summary>The variable loop.</summary>
internal sealed record Loop(IReadOnlyList<object?> Items, int Index);

/// <summary>A method of a value that is yet to be called.</summary>
internal sealed record BoundMethod(object Target, string Name);

/// <summary>A function that a template is given.</summary>
internal sealed record JinjaFunction(Func<CallArguments, object?> Call);

/// <summary>Bounds how long a template runs.</summary>
internal sealed class JinjaBudget
{
    /// <summary>Characters copied in one rendering, or what takes as long: less than a second.</summary>
    public const long Limit = 1 << 26;

    /// <summary>What evaluating a node, or copying an item, counts.</summary>
    public const long Step = 16;

    /// <summary>What a round of a loop counts.</summary>
    public const long Round = 64;

    private long left = Limit;

    public void Charge(long units)
    {
        if ((left -= units) < 0) throw new JinjaException($"the template does not end within {Limit / Step} steps");
    }

    public string Charged(string text)
    {
        Charge(text.Length);
        return text.Length <= JinjaTemplate.MaxOutput
            ? text
            : throw new JinjaException($"a text of {text.Length} characters, more than the {JinjaTemplate.MaxOutput} that are allowed");
    }
}

/// <summary>What Python makes of values: their text, order and arithmetic.</summary>
internal sealed class Python(JinjaBudget budget)
{
    // Searching and comparing texts is that much faster than copying them.
    private const int Fast = 8;

    public static bool IsSpace(char c) => char.IsWhiteSpace(c) || c is >= '\x1c' and <= '\x1f';

    public static string TypeName(object? value) => value switch
    {
        null => "none",
        bool => "a boolean",
        long or double => "a number",
        string => "a string",
        JinjaList { Kind: ListKind.List } => "a list",
        JinjaList { Kind: ListKind.Tuple } => "a tuple",
        JinjaList { Kind: ListKind.View } => "a view of a dict",
        JinjaList { Kind: ListKind.Range } => "a range",
        JinjaList => "a generator",
        JinjaDict => "a dict",
        Undefined undefined => $"{undefined.What}, which is undefined,",
        JinjaNamespace => "a namespace",
        Loop => "the variable loop",
        _ => "a function",
    };

    public static bool IsTrue(object? value) => value switch
    {
        Undefined { IsStrict: true } undefined => throw undefined.Error,
        null or Undefined => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        string text => text.Length > 0,
        JinjaList { Kind: not ListKind.Generator } list => list.Count > 0,
        JinjaDict dict => dict.Count > 0,
        _ => true,
    };

    /// <summary>str(value)</summary>
    public string Str(object? value) => value switch
    {
        string text => text,
        Undefined { IsStrict: true } undefined => throw undefined.Error,
        Undefined => "",
        _ => Repr(value),
    };

    /// <summary>repr(value)</summary>
    public string Repr(object? value)
    {
        Enter();
        return value switch
        {
            null => "None",
            bool flag => flag ? "True" : "False",
            long number => number.ToString(CultureInfo.InvariantCulture),
            double number => Repr(number),
            string text => budget.Charged(Quoted(text)),
            JinjaList { Kind: ListKind.List } list => budget.Charged($"[{string.Join(", ", list.Select(Repr))}]"),
            JinjaList { Kind: ListKind.Tuple, Count: 1 } list => $"({Repr(list[0])},)",
            JinjaList { Kind: ListKind.Tuple } list => budget.Charged($"({string.Join(", ", list.Select(Repr))})"),
            JinjaDict dict =>
                budget.Charged($"{{{string.Join(", ", dict.Select(entry => $"{Repr(entry.Key)}: {Repr(entry.Value)}"))}}}"),
            Undefined => "Undefined",
            _ => throw new JinjaException($"{TypeName(value)} cannot be written as text"),
        };
    }

    public static string Repr(double value)
    {
        if (double.IsNaN(value)) return "nan";
        if (double.IsInfinity(value)) return value > 0 ? "inf" : "-inf";
        if (value == 0) return double.IsNegative(value) ? "-0.0" : "0.0";
        string[] parts = value.ToString("E16", CultureInfo.InvariantCulture).Split('E');
        string shortest = value.ToString("R", CultureInfo.InvariantCulture).Split('E')[0];
        string digits = shortest.Replace(".", "").TrimStart('-', '0').TrimEnd('0');
        int exponent = int.Parse(parts[1], CultureInfo.InvariantCulture);
        if (digits == "1" && parts[0].TrimStart('-')[0] == '9') exponent++; // 9.99…e-7 is 1e-6
        string sign = value < 0 ? "-" : "";
        if (exponent is < -4 or >= 16)
            return $"{sign}{digits[0]}{(digits.Length > 1 ? "." : "")}{digits[1..]}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
        if (exponent < 0) return $"{sign}0.{new string('0', -exponent - 1)}{digits}";
        digits = digits.PadRight(exponent + 2, '0');
        return $"{sign}{digits[..(exponent + 1)]}.{digits[(exponent + 1)..]}";
    }

    private static string Quoted(string text)
    {
        char quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        StringBuilder result = new();
        result.Append(quote);
        foreach (Rune rune in text.EnumerateRunes())
            result.Append(rune.Value switch
            {
                '\\' => @"\\",
                '\n' => @"\n",
                '\r' => @"\r",
                '\t' => @"\t",
                _ when rune.Value == quote => $"\\{quote}",
                _ when rune.Value == ' ' || IsPrintable(rune) => rune.ToString(),
                < 0x100 => $"\\x{rune.Value:x2}",
                < 0x10000 => $"\\u{rune.Value:x4}",
                _ => $"\\U{rune.Value:x8}",
            });
        return result.Append(quote).ToString();
    }

    private static bool IsPrintable(Rune rune) => Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.SpaceSeparator);

    private static bool HasSurrogates(string text) => text.AsSpan().ContainsAnyInRange('\ud800', '\udfff');

    /// <summary>The characters of a text, code points as in Python.</summary>
    public IReadOnlyList<string> Characters(string text)
    {
        budget.Charge(JinjaBudget.Step * text.Length);
        return HasSurrogates(text)
            ? [.. text.EnumerateRunes().Select(rune => rune.ToString())]
            : [.. text.Select(c => c.ToString())];
    }

    /// <summary>What a loop over the value walks; a generator is empty afterwards.</summary>
    public IReadOnlyList<object?> Iterate(object? value)
    {
        switch (value)
        {
            case JinjaList { Kind: ListKind.Generator } list:
                object?[] items = [.. list];
                list.Clear();
                return items;
            case JinjaList list: return list;
            case JinjaDict dict:
                budget.Charge(JinjaBudget.Step * dict.Count);
                return [.. dict.Keys];
            case string text: return Characters(text);
            case Undefined { IsStrict: true } undefined: throw undefined.Error;
            case Undefined: return [];
            default: throw new JinjaException($"{TypeName(value)} cannot be walked, as a loop does");
        }
    }

    public long Length(object? value) => value switch
    {
        string text => HasSurrogates(Counted(text)) ? Characters(text).Count : text.Length,
        JinjaList { Kind: not ListKind.Generator } list => list.Count,
        JinjaDict dict => dict.Count,
        Undefined { IsStrict: true } undefined => throw undefined.Error,
        Undefined => 0,
        _ => throw new JinjaException($"{TypeName(value)} has no length"),
    };

    public bool AreEqual(object? left, object? right)
    {
        Enter();
        return (Number(left), Number(right)) switch
        {
            (long a, long b) => a == b,
            (not null, not null) => ToDouble(left) == ToDouble(right),
            _ => (left, right) switch
            {
                (Undefined { IsStrict: true } undefined, _) => throw undefined.Error,
                (_, Undefined { IsStrict: true } undefined) => throw undefined.Error,
                (null, null) or (Undefined, Undefined) => true,
                (string a, string b) => Counted(a) == b,
                (JinjaList a, JinjaList b) when a.Kind < ListKind.View && a.Kind == b.Kind =>
                    a.Count == b.Count && a.Zip(b).All(pair => AreEqual(pair.First, pair.Second)),
                (JinjaDict a, JinjaDict b) =>
                    a.Count == b.Count && a.All(entry => b.TryGetValue(entry.Key, out object? other) && AreEqual(entry.Value, other)),
                _ => ReferenceEquals(left, right),
            },
        };
    }

    /// <summary>Less than, equal or greater: below, at or above 0.</summary>
    public int Compare(object? left, object? right)
    {
        Enter();
        switch (Number(left), Number(right))
        {
            case (long one, long other): return one.CompareTo(other);
            case (not null, not null): return ToDouble(left).CompareTo(ToDouble(right));
        }
        if (left is string first && right is string second) return CompareText(Counted(first), second);
        if (left is not JinjaList { Kind: ListKind.List or ListKind.Tuple } a || right is not JinjaList b || a.Kind != b.Kind)
            throw new JinjaException($"{TypeName(left)} and {TypeName(right)} have no order");
        for (int i = 0; i < Math.Min(a.Count, b.Count); i++)
            if (!AreEqual(a[i], b[i])) return Compare(a[i], b[i]);
        return a.Count.CompareTo(b.Count);
    }

    // By code points: surrogates come after the rest.
    private static int CompareText(string left, string right)
    {
        int same = left.AsSpan().CommonPrefixLength(right);
        if (same == left.Length || same == right.Length) return left.Length.CompareTo(right.Length);
        (char a, char b) = (left[same], right[same]);
        return char.IsSurrogate(a) == char.IsSurrogate(b) ? a.CompareTo(b) : char.IsSurrogate(a) ? 1 : -1;
    }

    /// <summary>value in container</summary>
    public bool Contains(object? container, object? value) => container switch
    {
        string text when value is string part => Counted(text).Contains(part, StringComparison.Ordinal),
        string => throw new JinjaException($"{TypeName(value)} cannot be looked for in a string"),
        JinjaDict dict => Key(value) is { } key && dict.ContainsKey(key),
        JinjaList or Undefined => Iterate(container).Any(item => AreEqual(item, value)),
        _ => throw new JinjaException($"nothing can be looked for in {TypeName(container)}"),
    };

    /// <summary>A value as the key of a dict; null if it is not supported as one.</summary>
    public static object? Key(object? value) => value is bool flag ? (flag ? 1L : 0L) : value is string or long ? value : null;

    /// <summary>A long or double; null for what is no number.</summary>
    public static object? Number(object? value) => value is bool flag ? (flag ? 1L : 0L) : value is long or double ? value : null;

    public static double ToDouble(object? number) => Number(number) is long whole ? whole : (double)Number(number)!;

    public static int ToInt(object? value, string what) => Number(value) is long number
        ? (int)Math.Clamp(number, int.MinValue, int.MaxValue)
        : throw new JinjaException($"{what} is {TypeName(value)}, and must be a whole number");

    public static string ToText(object? value, string what) =>
        value as string ?? throw new JinjaException($"{what} is {TypeName(value)}, and must be a string");

    public object Calculate(string symbol, object? left, object? right)
    {
        switch (symbol, left, right)
        {
            case ("+", string a, string b): return budget.Charged(a + b);
            case ("+", JinjaList { Kind: < ListKind.View } a, JinjaList b) when a.Kind == b.Kind:
                budget.Charge(JinjaBudget.Step * (a.Count + b.Count));
                return new JinjaList(a.Kind, a.Concat(b));
            case ("*", string or JinjaList { Kind: < ListKind.View }, bool or long): return Repeat(left, ToInt(right, "a factor"));
            case ("*", bool or long, string or JinjaList { Kind: < ListKind.View }): return Repeat(right, ToInt(left, "a factor"));
            case ("%", string, _): throw new JinjaException("formatting with % is not supported; use ~ to join texts");
        }
        object? first = Number(left), second = Number(right);
        if (first is null || second is null)
            throw (left as Undefined ?? right as Undefined)?.Error
                ?? new JinjaException($"{TypeName(left)} {symbol} {TypeName(right)} has no meaning");
        if (symbol is "/" or "//" or "%" && ToDouble(second) == 0) throw new JinjaException("a division by zero");
        if (symbol == "/" || first is double || second is double) return Calculate(symbol, ToDouble(first), ToDouble(second));
        return Calculate(symbol, (long)first, (long)second);
    }

    private static object Calculate(string symbol, long a, long b) => symbol switch
    {
        "+" => checked(a + b),
        "-" => checked(a - b),
        "*" => checked(a * b),
        "//" => checked(a / b) - (a % b != 0 && a < 0 != b < 0 ? 1 : 0),
        "%" => b == -1 ? 0L : a % b is var rest && rest != 0 && rest < 0 != b < 0 ? rest + b : a % b,
        _ => b < 0 ? Calculate(symbol, (double)a, b) : Power(a, b),
    };

    private static object Calculate(string symbol, double a, double b) => symbol switch
    {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "//" => Math.Floor(a / b),
        "%" => a % b is var rest && rest != 0 && rest < 0 != b < 0 ? rest + b : a % b,
        _ => Math.Pow(a, b) is var power && (double.IsFinite(power) || !double.IsFinite(a) || !double.IsFinite(b))
            ? power
            : throw new JinjaException("a power that is no number"),
    };

    private static long Power(long a, long b)
    {
        long result = 1;
        if (a is 0 or 1 or -1) return b == 0 ? 1 : a == -1 && b % 2 == 0 ? 1 : a;
        for (long i = 0; i < b; i++) result = checked(result * a);
        return result;
    }

    private object Repeat(object? value, int times)
    {
        times = Math.Max(times, 0);
        if (value is JinjaList list)
        {
            budget.Charge(JinjaBudget.Step * list.Count * times);
            return new JinjaList(list.Kind, Enumerable.Repeat(list, times).SelectMany(items => items));
        }
        string text = (string)value!;
        budget.Charge((long)text.Length * times);
        return budget.Charged(new StringBuilder().Insert(0, text, times).ToString());
    }

    // Values can be nested deeply, and hold the same value many times.
    private void Enter()
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        budget.Charge(JinjaBudget.Step);
    }

    private string Counted(string text)
    {
        budget.Charge(text.Length / Fast);
        return text;
    }
}
