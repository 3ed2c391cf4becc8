using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Trainer.Data.Chat;

/// <summary>The methods of strings.</summary>
internal sealed partial class JinjaText(JinjaBudget budget, Python python)
{
    private static readonly TimeSpan RegexTime = TimeSpan.FromSeconds(1);

    [GeneratedRegex("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")]
    private static partial Regex LineEnd();

    [GeneratedRegex(@"\\g<(\w+)>|\\(\d+)")]
    private static partial Regex GroupReference();

    public static string[] Methods { get; } =
    [
        "strip", "lstrip", "rstrip", "split", "startswith", "endswith", "upper", "lower", "title", "capitalize", "replace", "join",
        "index", "rindex", "find", "rfind", "count", "removeprefix", "removesuffix", "splitlines", "isdigit",
    ];

    public object Call(string text, string name, CallArguments arguments) => name switch
    {
        "strip" => Strip(text, arguments.Take("chars"), start: true, end: true),
        "lstrip" => Strip(text, arguments.Take("chars"), start: true, end: false),
        "rstrip" => Strip(text, arguments.Take("chars"), start: false, end: true),
        "split" => new JinjaList(ListKind.List, Split(text, arguments)),
        "startswith" => Affixes(arguments, "prefix").Any(prefix => text.StartsWith(prefix, StringComparison.Ordinal)),
        "endswith" => Affixes(arguments, "suffix").Any(suffix => text.EndsWith(suffix, StringComparison.Ordinal)),
        "upper" => text.ToUpperInvariant(),
        "lower" => text.ToLowerInvariant(),
        "title" => TitleOfLetters(text),
        "capitalize" => Capitalized(text),
        "replace" => Replace(text, arguments),
        "index" or "rindex" or "find" or "rfind" => Find(text, name, arguments),
        "count" => Count(text, Python.ToText(arguments.Require("sub"), "what is counted")),
        "removeprefix" when Python.ToText(arguments.Require("prefix"), "a prefix") is var prefix =>
            text.StartsWith(prefix, StringComparison.Ordinal) ? text[prefix.Length..] : text,
        "removesuffix" when Python.ToText(arguments.Require("suffix"), "a suffix") is var suffix =>
            text.EndsWith(suffix, StringComparison.Ordinal) ? text[..^suffix.Length] : text,
        "splitlines" => new JinjaList(ListKind.List, Lines(text)),
        "isdigit" => text.Length > 0 && text.All(char.IsDigit),
        _ => string.Join(text, python.Iterate(arguments.Require("iterable")).Select(item => Python.ToText(item, "an item to join"))),
    };

    public string Indent(string text, CallArguments arguments)
    {
        object? width = arguments.Take("width", 4L);
        bool first = Python.IsTrue(arguments.Take("first", false)), blank = Python.IsTrue(arguments.Take("blank", false));
        int spaces = width is string ? 0 : Math.Clamp(Python.ToInt(width, "the width of indent"), 0, JinjaTemplate.MaxOutput);
        string by = width as string ?? new string(' ', spaces);
        string[] lines = text.ReplaceLineEndings("\n").Replace('\v', '\n').Split('\n');
        budget.Charge((long)lines.Length * by.Length);
        return budget.Charged((first ? by : "") + string.Join('\n', lines.Select((line, index) =>
            index > 0 && (blank || line.Length > 0) ? by + line : line)));
    }

    public string Replace(string text, CallArguments arguments)
    {
        string old = Python.ToText(arguments.Require("old"), "what is replaced");
        string by = Python.ToText(arguments.Require("new"), "a replacement");
        int count = arguments.Take("count") is { } given ? Python.ToInt(given, "count") : -1;
        if (old.Length == 0) throw new JinjaException("an empty text cannot be replaced");
        StringBuilder result = new();
        int from = 0;
        for (int at; count-- != 0 && (at = text.IndexOf(old, from, StringComparison.Ordinal)) >= 0; from = at + old.Length)
        {
            budget.Charge(by.Length + JinjaBudget.Step);
            result.Append(text, from, at - from).Append(by);
        }
        return budget.Charged(result.Append(text, from, text.Length - from).ToString());
    }

    /// <summary>The harness's filter: Python's re.sub, with \1 and \g&lt;name&gt; in the replacement.</summary>
    public string RegexReplace(string text, CallArguments arguments)
    {
        string pattern = Python.ToText(arguments.Require("pattern"), "a pattern");
        string by = Python.ToText(arguments.Require("repl"), "a replacement");
        int count = arguments.Take("count") is { } given ? Python.ToInt(given, "count") : 0;
        budget.Charge(text.Length + JinjaBudget.Step);
        string replacement = GroupReference().Replace(by.Replace("$", "$$"),
            match => $"${{{match.Groups[1].Value}{match.Groups[2].Value}}}");
        try
        {
            return budget.Charged(new Regex(pattern.Replace("(?P<", "(?<"), RegexOptions.CultureInvariant, RegexTime)
                .Replace(text, replacement, count <= 0 ? -1 : count));
        }
        catch (Exception error) when (error is ArgumentException or RegexMatchTimeoutException)
        {
            throw new JinjaException($"the pattern '{pattern}' is not understood, or takes too long: {error.Message}");
        }
    }

    // Where a text begins, in code points as in Python.
    private long Find(string text, string name, CallArguments arguments)
    {
        string part = Python.ToText(arguments.Require("sub"), "what is looked for");
        int at = name[0] == 'r' ? text.LastIndexOf(part, StringComparison.Ordinal) : text.IndexOf(part, StringComparison.Ordinal);
        if (at < 0 && name.EndsWith("index", StringComparison.Ordinal)) throw new JinjaException($"'{part}' is not in the text");
        return at < 0 ? -1 : python.Length(text[..at]);
    }

    private long Count(string text, string part)
    {
        budget.Charge(text.Length);
        if (part.Length == 0) return python.Length(text) + 1;
        return text.Split(part).Length - 1;
    }

    private List<object?> Lines(string text)
    {
        budget.Charge(text.Length);
        string[] lines = LineEnd().Split(text);
        return [.. lines[^1].Length == 0 ? lines[..^1] : lines];
    }

    public static string Strip(string text, object? characters, bool start, bool end)
    {
        string? set = characters is null ? null : Python.ToText(characters, "what is stripped");
        if (set?.Any(char.IsSurrogate) == true)
            throw new JinjaException($"'{set}' has a character beyond 16 bits, which cannot be stripped");
        bool Goes(char c) => set is null ? Python.IsSpace(c) : set.Contains(c);
        int from = 0, to = text.Length;
        while (start && from < to && Goes(text[from])) from++;
        while (end && to > from && Goes(text[to - 1])) to--;
        return text[from..to];
    }

    private List<object?> Split(string text, CallArguments arguments)
    {
        object? separator = arguments.Take("sep");
        int most = arguments.Take("maxsplit") is { } given ? Python.ToInt(given, "maxsplit") : -1;
        budget.Charge(text.Length);
        List<object?> parts = [];
        if (separator is not null)
        {
            string between = Python.ToText(separator, "a separator");
            if (between.Length == 0) throw new JinjaException("the separator of split is empty");
            return [.. text.Split(between, most < 0 ? int.MaxValue : most == int.MaxValue ? most : most + 1)];
        }
        int from = AfterSpaces(0);
        while (from < text.Length && most-- != 0)
        {
            int end = from;
            while (end < text.Length && !Python.IsSpace(text[end])) end++;
            parts.Add(text[from..end]);
            from = AfterSpaces(end);
        }
        if (from < text.Length) parts.Add(text[from..]);
        return parts;

        int AfterSpaces(int at)
        {
            while (at < text.Length && Python.IsSpace(text[at])) at++;
            return at;
        }
    }

    private static IEnumerable<string> Affixes(CallArguments arguments, string name) => arguments.Require(name) switch
    {
        JinjaList { Kind: ListKind.Tuple } several => several.Select(item => Python.ToText(item, $"a {name}")),
        var one => [Python.ToText(one, $"a {name}")],
    };

    public static string Capitalized(string text) => Cased(text, isFirst: (_, index) => index == 0);

    // The filter: a word begins after a space, hyphen or opening bracket.
    public static string TitleOfWords(string text) =>
        Cased(text, (whole, index) =>
            index == 0 || Python.IsSpace(whole[index - 1]) || whole[index - 1] is '-' or '(' or '{' or '[' or '<');

    // The method: a word begins after anything but a letter.
    private static string TitleOfLetters(string text) => Cased(text, (whole, index) => index == 0 || !char.IsLetter(whole[index - 1]));

    private static string Cased(string text, Func<string, int, bool> isFirst) => string.Concat(text.Select((c, index) =>
        isFirst(text, index) ? char.ToUpperInvariant(c) : char.ToLowerInvariant(c)));
}

/// <summary>json.dumps as the filter tojson of transformers calls it: other characters than ASCII stay as they are.</summary>
internal sealed class JinjaJson
{
    private readonly JinjaBudget budget;
    private readonly StringBuilder json = new();
    private readonly bool isAscii, sorts;
    private readonly string? indent;
    private readonly string between, afterKey;

    public JinjaJson(JinjaBudget budget, CallArguments arguments)
    {
        this.budget = budget;
        isAscii = Python.IsTrue(arguments.Take("ensure_ascii", false));
        indent = arguments.Take("indent") switch
        {
            null => null,
            string text => text,
            var width => new string(' ', Math.Clamp(Python.ToInt(width, "the indent of tojson"), 0, 100)),
        };
        (between, afterKey) = arguments.Take("separators") switch
        {
            null => (indent is null ? ", " : ",", ": "),
            JinjaList { Count: 2 } pair => (Python.ToText(pair[0], "a separator"), Python.ToText(pair[1], "a separator")),
            _ => throw new JinjaException("the separators of tojson are two strings"),
        };
        sorts = Python.IsTrue(arguments.Take("sort_keys", false));
    }

    public string Write(object? value)
    {
        Write(value, 0);
        return budget.Charged(json.ToString());
    }

    private void Write(object? value, int level)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        budget.Charge(JinjaBudget.Step);
        switch (value)
        {
            case null: json.Append("null"); break;
            case bool flag: json.Append(flag ? "true" : "false"); break;
            case long number: json.Append(number); break;
            case double number when double.IsNaN(number): json.Append("NaN"); break;
            case double number when double.IsInfinity(number): json.Append(number > 0 ? "Infinity" : "-Infinity"); break;
            case double number: json.Append(Python.Repr(number)); break;
            case string text: Write(text); break;
            case JinjaList { Kind: ListKind.List or ListKind.Tuple } list:
                WriteAll('[', ']', list, level, item => Write(item, level + 1));
                break;
            case JinjaDict dict:
                IEnumerable<KeyValuePair<object, object?>> entries =
                    sorts ? dict.OrderBy(entry => Python.ToText(entry.Key, "a key to sort by"), StringComparer.Ordinal) : dict;
                WriteAll('{', '}', [.. entries], level, entry =>
                {
                    Write(entry.Key.ToString()!);
                    json.Append(afterKey);
                    Write(entry.Value, level + 1);
                });
                break;
            default: throw new JinjaException($"{Python.TypeName(value)} cannot be written as JSON");
        }
    }

    private void WriteAll<T>(char open, char close, IReadOnlyList<T> items, int level, Action<T> write)
    {
        json.Append(open);
        for (int i = 0; i < items.Count; i++)
        {
            if (i > 0) json.Append(between);
            NewLine(level + 1);
            write(items[i]);
        }
        if (items.Count > 0) NewLine(level);
        json.Append(close);
    }

    private void NewLine(int level)
    {
        if (indent is null) return;
        budget.Charge((long)indent.Length * level);
        json.Append('\n').Insert(json.Length, indent, level);
    }

    private void Write(string text)
    {
        budget.Charge(text.Length);
        json.Append('"');
        foreach (char c in text)
            json.Append(c switch
            {
                '"' => "\\\"",
                '\\' => @"\\",
                '\n' => @"\n",
                '\r' => @"\r",
                '\t' => @"\t",
                '\b' => @"\b",
                '\f' => @"\f",
                < ' ' => $"\\u{(int)c:x4}",
                > '~' when isAscii => $"\\u{(int)c:x4}",
                _ => c.ToString(),
            });
        json.Append('"');
    }
}
