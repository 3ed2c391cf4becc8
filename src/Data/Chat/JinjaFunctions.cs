using System.Globalization;

namespace Trainer.Data.Chat;

/// <summary>Attributes, filters, tests and methods.</summary>
internal sealed class JinjaFunctions(JinjaBudget budget, Python python, bool isStrict)
{
    private readonly JinjaText texts = new(budget, python);

    private static readonly string[] DictMethods = ["items", "keys", "values", "get"], ListMethods = ["index", "count"];

    // They are refused rather than undefined.
    private static readonly string[] OtherMethods =
    [
        "append", "casefold", "center", "clear", "copy", "encode", "expandtabs", "extend", "format",
        "format_map", "fromkeys", "insert", "isalnum", "isalpha", "isascii", "isdecimal", "isidentifier", "islower",
        "isnumeric", "isprintable", "isspace", "istitle", "isupper", "ljust", "maketrans", "partition", "pop", "popitem", "remove",
        "reverse", "rjust", "rpartition", "rsplit", "setdefault", "sort", "swapcase", "translate", "update", "zfill",
    ];

    /// <summary>value.name: a method, else an item.</summary>
    public object? Attribute(object? value, string name) => value switch
    {
        Undefined undefined => throw undefined.Error,
        _ when name.StartsWith("__", StringComparison.Ordinal) => throw new JinjaException($"the attribute '{name}' is not allowed"),
        JinjaNamespace space => space.Attributes.TryGetValue(name, out object? found) ? found : Missing($"'{name}' of a namespace"),
        Loop loop => OfLoop(loop, name),
        _ when Method(value, name) is { } method => method,
        JinjaDict dict when dict.TryGetValue(name, out object? item) => item,
        _ => Missing(value, name),
    };

    /// <summary>value[index]: an item, else a method.</summary>
    public object? Item(object? value, object? index)
    {
        switch (value, Python.Key(index))
        {
            case (Undefined undefined, _): throw undefined.Error;
            case (JinjaDict dict, { } key) when dict.TryGetValue(key, out object? item): return item;
            case (JinjaList { Kind: not (ListKind.View or ListKind.Generator) } list, long at): return At(list, list, at);
            case (JinjaList, long): throw new JinjaException($"{Python.TypeName(value)} has no numbered items; make a list of it");
            case (string text, long at): return At(text, python.Characters(text), at);
            case (JinjaNamespace or Loop, string name): return Attribute(value, name);
            case (_, string name): return (object?)Method(value, name) ?? Missing(value, index);
            default: return Missing(value, index);
        }
    }

    private Undefined Missing(object? value, object? name) =>
        Missing($"{(name is string text ? $"'{text}'" : python.Repr(name))} of {Python.TypeName(value)}");

    private Undefined Missing(string what) => new(what, isStrict);

    private object? At(object value, IReadOnlyList<object?> items, long index)
    {
        long at = index < 0 ? index + items.Count : index;
        return at >= 0 && at < items.Count ? items[(int)at] : Missing(value, index);
    }

    private static BoundMethod? Method(object? value, string name)
    {
        string[] known = value switch
        {
            string => JinjaText.Methods,
            JinjaDict => DictMethods,
            JinjaList { Kind: ListKind.List or ListKind.Tuple } => ListMethods,
            _ => [],
        };
        if (known.Contains(name)) return new(value!, name);
        bool isRefused = value is string or JinjaList || (value is JinjaDict && name is
            "clear" or "copy" or "fromkeys" or "pop" or "popitem" or "setdefault" or "update");
        return isRefused && OtherMethods.Contains(name)
            ? throw new JinjaException($"the method '{name}' of {Python.TypeName(value)} is not supported")
            : null;
    }

    private object? OfLoop(Loop loop, string name) => name switch
    {
        "index" => loop.Index + 1L,
        "index0" => (long)loop.Index,
        "revindex" => (long)loop.Items.Count - loop.Index,
        "revindex0" => loop.Items.Count - loop.Index - 1L,
        "first" => loop.Index == 0,
        "last" => loop.Index == loop.Items.Count - 1,
        "length" => (long)loop.Items.Count,
        "previtem" => loop.Index > 0 ? loop.Items[loop.Index - 1] : Missing("loop.previtem"),
        "nextitem" => loop.Index + 1 < loop.Items.Count ? loop.Items[loop.Index + 1] : Missing("loop.nextitem"),
        _ => throw new JinjaException($"loop.{name} is not supported"),
    };

    /// <summary>The items from start to stop, each step-th; all three can be none.</summary>
    public object Slice(object? value, object? start, object? stop, object? step)
    {
        IReadOnlyList<object?> items = value switch
        {
            Undefined undefined => throw undefined.Error,
            string text => python.Characters(text),
            JinjaList { Kind: ListKind.List or ListKind.Tuple } list => list,
            _ => throw new JinjaException($"{Python.TypeName(value)} has no slices"),
        };
        int by = step is null ? 1 : Python.ToInt(step, "the step of a slice");
        if (by == 0) throw new JinjaException("the step of a slice is 0");
        int lowest = by < 0 ? -1 : 0, highest = by < 0 ? items.Count - 1 : items.Count;
        long from = Bound(start, by < 0 ? highest : lowest), to = Bound(stop, by < 0 ? lowest : highest);
        List<object?> taken = [];
        for (long i = from; by < 0 ? i > to : i < to; i += by) taken.Add(items[(int)i]);
        budget.Charge(JinjaBudget.Step * taken.Count);
        return value is JinjaList whole ? new JinjaList(whole.Kind, taken) : string.Concat(taken);

        long Bound(object? bound, int otherwise)
        {
            if (bound is null) return otherwise;
            long at = Python.ToInt(bound, "the bound of a slice");
            return Math.Clamp(at < 0 ? at + items.Count : at, lowest, highest);
        }
    }

    public object? Filter(object? value, string name, CallArguments arguments)
    {
        object? result = name switch
        {
            "trim" => budget.Charged(JinjaText.Strip(Text(), arguments.Take("chars"), start: true, end: true)),
            "tojson" => new JinjaJson(budget, arguments).Write(value),
            "length" or "count" => python.Length(value),
            "default" or "d" => Default(value, arguments),
            "upper" => budget.Charged(Text().ToUpperInvariant()),
            "lower" => budget.Charged(Text().ToLowerInvariant()),
            "capitalize" => JinjaText.Capitalized(Text()),
            "title" => JinjaText.TitleOfWords(Text()),
            "string" or "safe" => Text(),
            "join" => Join(value, arguments),
            "first" => python.Iterate(value) is [var first, ..] ? first : Missing("the first item of an empty sequence"),
            "last" => Last(value),
            "list" => new JinjaList(ListKind.List, python.Iterate(value)),
            "map" => Map(value, arguments),
            "selectattr" => Select(value, arguments, ofAttribute: true, selects: true),
            "rejectattr" => Select(value, arguments, ofAttribute: true, selects: false),
            "select" => Select(value, arguments, ofAttribute: false, selects: true),
            "reject" => Select(value, arguments, ofAttribute: false, selects: false),
            "items" => Items(value),
            "int" => Int(value, arguments),
            "float" => Float(value, arguments),
            "replace" => texts.Replace(Text(), arguments),
            "regex_replace" => texts.RegexReplace(Text(), arguments),
            "reverse" => value is string text
                ? string.Concat(python.Characters(text).Reverse())
                : new JinjaList(ListKind.Generator, Enumerable.Reverse(python.Iterate(value))),
            "dictsort" => DictSort(value, arguments),
            "indent" => texts.Indent(Text(), arguments),
            _ => throw new JinjaException($"the filter '{name}' is not supported"),
        };
        arguments.End();
        if (result is JinjaList list) budget.Charge(JinjaBudget.Step * list.Count);
        return result;

        string Text() => python.Str(value);
    }

    public bool Test(object? value, string name, CallArguments arguments)
    {
        bool result = name switch
        {
            "defined" => value is not Undefined,
            "undefined" => value is Undefined,
            "none" => value is null,
            "string" => value is string,
            "mapping" => value is JinjaDict,
            "sequence" => value is string or JinjaDict or Undefined or JinjaList { Kind: not (ListKind.View or ListKind.Generator) },
            "iterable" => value is string or JinjaDict or Undefined or JinjaList,
            "number" => value is bool or long or double,
            "integer" => value is long,
            "float" => value is double,
            "boolean" => value is bool,
            "true" => value is true,
            "false" => value is false,
            "odd" => Modulo(value, 2) == 1,
            "even" => Modulo(value, 2) == 0,
            "equalto" or "eq" or "==" => python.AreEqual(value, arguments.Require("other")),
            "ne" or "!=" => !python.AreEqual(value, arguments.Require("other")),
            "in" => python.Contains(arguments.Require("seq"), value),
            _ => throw new JinjaException($"the test '{name}' is not supported"),
        };
        arguments.End();
        return result;
    }

    private long Modulo(object? value, long divisor) =>
        python.Calculate("%", value, divisor) as long? ?? throw new JinjaException("a fraction is neither odd nor even");

    public object? Call(BoundMethod method, CallArguments arguments)
    {
        object? result = method.Target switch
        {
            string text => texts.Call(text, method.Name, arguments),
            JinjaDict dict => OfDict(dict, method.Name, arguments),
            JinjaList target => OfList(target, method.Name, arguments),
            _ => throw new JinjaException($"'{method.Name}' is no method"),
        };
        arguments.End();
        if (result is JinjaList list) budget.Charge(JinjaBudget.Step * list.Count);
        return result is string made ? budget.Charged(made) : result;
    }

    private object OfList(JinjaList list, string name, CallArguments arguments)
    {
        object? item = arguments.Require("value");
        budget.Charge(JinjaBudget.Step * list.Count);
        if (name == "count") return (long)list.Count(each => python.AreEqual(each, item));
        int at = list.FindIndex(each => python.AreEqual(each, item));
        return at >= 0 ? (long)at : throw new JinjaException($"{python.Repr(item)} is not in {Python.TypeName(list)} {python.Repr(list)}");
    }

    private static object? OfDict(JinjaDict dict, string name, CallArguments arguments)
    {
        if (name == "get")
        {
            object key = Python.Key(arguments.Require("key")) ?? throw new JinjaException("keys are strings or whole numbers");
            object? otherwise = arguments.Take("default");
            return dict.TryGetValue(key, out object? value) ? value : otherwise;
        }
        return new JinjaList(ListKind.View, name switch
        {
            "keys" => dict.Keys,
            "values" => dict.Values,
            _ => Pairs(dict),
        });
    }

    private static IEnumerable<object?> Pairs(JinjaDict dict) =>
        dict.Select(entry => new JinjaList(ListKind.Tuple, [entry.Key, entry.Value]));

    private static JinjaList Items(object? value) => new(ListKind.Generator, value switch
    {
        JinjaDict dict => Pairs(dict),
        Undefined { IsStrict: true } undefined => throw undefined.Error,
        Undefined => [],
        _ => throw new JinjaException($"{Python.TypeName(value)} has no items"),
    });

    private static object? Default(object? value, CallArguments arguments)
    {
        object? otherwise = arguments.Take("default_value", "");
        return value is Undefined || (Python.IsTrue(arguments.Take("boolean", false)) && !Python.IsTrue(value)) ? otherwise : value;
    }

    private object? Last(object? value) => value is JinjaList { Kind: ListKind.Generator }
        ? throw new JinjaException("a generator has no last item; make a list of it")
        : python.Iterate(value) is [.., var last] ? last : Missing("the last item of an empty sequence");

    private string Join(object? value, CallArguments arguments)
    {
        string separator = python.Str(arguments.Take("d", ""));
        object? attribute = arguments.Take("attribute");
        IEnumerable<object?> items = python.Iterate(value);
        if (attribute is not null) items = items.Select(item => Path(item, attribute));
        return budget.Charged(string.Join(separator, items.Select(item => budget.Charged(python.Str(item)))));
    }

    // a.b.0
    private object? Path(object? value, object? path) => path is string text
        ? text.Split('.').Aggregate(
            value, (item, part) => Item(item, long.TryParse(part, NumberStyles.None, null, out long at) ? at : part))
        : Item(value, path);

    private JinjaList Map(object? value, CallArguments arguments)
    {
        IReadOnlyList<object?> items = python.Iterate(value);
        if (arguments.HasPositional)
        {
            string filter = Python.ToText(arguments.Take("filter"), "the filter of map");
            IReadOnlyList<object?> rest = Rest(arguments);
            return new(ListKind.Generator, items.Select(item => Filter(item, filter, new(filter, rest, []))));
        }
        object? attribute = arguments.Require("attribute"), otherwise = arguments.Take("default");
        return new(ListKind.Generator, items.Select(item => Path(item, attribute) switch
        {
            Undefined when otherwise is not null => otherwise,
            var found => found,
        }));
    }

    private JinjaList Select(object? value, CallArguments arguments, bool ofAttribute, bool selects)
    {
        IReadOnlyList<object?> items = python.Iterate(value);
        object? attribute = ofAttribute ? arguments.Require("attribute") : null;
        string? test = arguments.HasPositional ? Python.ToText(arguments.Take("test"), $"the test of {arguments.Callee}") : null;
        IReadOnlyList<object?> rest = Rest(arguments);
        return new(ListKind.Generator, items.Where(item =>
        {
            budget.Charge(JinjaBudget.Step);
            object? tested = ofAttribute ? Path(item, attribute) : item;
            return selects == (test is null ? Python.IsTrue(tested) : Test(tested, test, new(test, rest, [])));
        }));
    }

    private static List<object?> Rest(CallArguments arguments)
    {
        List<object?> rest = [];
        while (arguments.HasPositional) rest.Add(arguments.Take(""));
        return rest;
    }

    private static object? Int(object? value, CallArguments arguments)
    {
        object? otherwise = arguments.Take("default", 0L);
        if (value is Undefined undefined) throw undefined.Error;
        string? text = (value as string)?.Trim();
        if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole)) return whole;
        double? number = text is null ? Python.Number(value) is { } given ? Python.ToDouble(given) : null
            : double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double read) ? read : null;
        return Python.Number(value) is long exact ? exact
            : number is { } fraction && double.IsFinite(fraction) ? checked((long)fraction) : otherwise;
    }

    private static object? Float(object? value, CallArguments arguments)
    {
        object? otherwise = arguments.Take("default", 0.0);
        if (value is Undefined undefined) throw undefined.Error;
        return value is string text
            ? double.TryParse(text.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double read) ? read : otherwise
            : Python.Number(value) is { } number ? Python.ToDouble(number) : otherwise;
    }

    private JinjaList DictSort(object? value, CallArguments arguments)
    {
        bool caseSensitive = Python.IsTrue(arguments.Take("case_sensitive", false));
        string by = Python.ToText(arguments.Take("by", "key"), "by");
        bool reverse = Python.IsTrue(arguments.Take("reverse", false));
        if (by is not ("key" or "value")) throw new JinjaException($"dictsort sorts by 'key' or 'value', not by '{by}'");
        if (value is not JinjaDict dict) throw new JinjaException($"{Python.TypeName(value)} cannot be sorted by dictsort");
        Comparer<object?> order = Comparer<object?>.Create(python.Compare);
        IEnumerable<object?> pairs = Pairs(dict);
        object? Key(object? pair) =>
            ((JinjaList)pair!)[by == "key" ? 0 : 1] is var key && key is string text && !caseSensitive ? text.ToLowerInvariant() : key;
        try
        {
            return new(ListKind.List, reverse ? pairs.OrderByDescending(Key, order) : pairs.OrderBy(Key, order));
        }
        catch (InvalidOperationException error) when (error.InnerException is JinjaException inner)
        {
            throw inner;
        }
    }
}

/// <summary>The arguments of a call, taken one by one in the order of the parameters.</summary>
internal sealed class CallArguments(string callee, IReadOnlyList<object?> positional, Dictionary<string, object?> named)
{
    private int taken;

    public string Callee => callee;

    public bool HasPositional => taken < positional.Count;

    public Dictionary<string, object?> Named => named;

    public object? Take(string name, object? otherwise = null) =>
        taken < positional.Count ? positional[taken++] : named.Remove(name, out object? value) ? value : otherwise;

    public object? Require(string name) =>
        HasPositional || named.ContainsKey(name) ? Take(name) : throw new JinjaException($"{callee} needs the argument '{name}'");

    /// <summary>Refuses what no parameter has taken.</summary>
    public void End()
    {
        if (HasPositional) throw new JinjaException($"{callee} takes no {taken + 1}. argument here");
        foreach (string name in named.Keys) throw new JinjaException($"{callee} has no argument '{name}' here");
    }
}
