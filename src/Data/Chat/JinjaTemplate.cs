using System.Runtime.CompilerServices;
using System.Text;
using Trainer.Configuration;

namespace Trainer.Data.Chat;

/// <summary>How templates are read and rendered.</summary>
/// <param name="Name">What errors call the template.</param>
/// <param name="TrimsBlocks">Jinja's trim_blocks and lstrip_blocks.</param>
/// <param name="KeepsTrailingNewline">Jinja's keep_trailing_newline.</param>
/// <param name="IsStrict">Jinja's StrictUndefined: what is undefined is no text and no condition.</param>
internal sealed record JinjaSettings(string Name, bool TrimsBlocks, bool KeepsTrailingNewline, bool IsStrict)
{
    /// <summary>As transformers renders chat templates.</summary>
    public static JinjaSettings Chat { get; } = new("chat template", TrimsBlocks: true, KeepsTrailingNewline: false, IsStrict: false);

    /// <summary>As lm-evaluation-harness renders the fields of tasks.</summary>
    public static JinjaSettings Record { get; } = new("template", TrimsBlocks: false, KeepsTrailingNewline: true, IsStrict: true);
}

/// <summary>A template of the part of Jinja that chat templates and evaluation tasks are written in, rendered in a sandbox.</summary>
/// <remarks>
/// <para>Tags: if, for (with if, else, break and continue), set (names, attributes of a namespace(), blocks), macro, generation, comments.
/// Expressions: all of Jinja but formatting with % and arguments with *. Globals: namespace, range, and what the caller gives.</para>
/// <para>Filters: capitalize, count, default, dictsort, first, float, indent, int, items, join, last, length, list, lower, map,
/// regex_replace (the harness's: re.sub), reject, rejectattr, replace, reverse, safe, select, selectattr, string, title, tojson, trim,
/// upper. Tests: ==, !=, boolean, defined, equalto, even,
/// false, float, in, integer, iterable, mapping, none, number, odd, sequence, string, true, undefined. Methods of strings:
/// <see cref="JinjaText.Methods"/>; of lists: index, count; of dicts: get, items, keys, values. Of loop: index, index0, revindex,
/// revindex0, first, last, length, previtem, nextitem.</para>
/// <para>Anything else is refused: tags and syntax at once, the rest when it is reached, since templates have branches for tools that
/// are never taken here. A rendering is bounded in depth, output and work (<see cref="JinjaBudget.Limit"/>), so that no template hangs
/// a server. Differences: whole numbers have 64 bits, and letters change case one by one.</para>
/// </remarks>
internal sealed class JinjaTemplate
{
    /// <summary>Most characters of a template, of its output, and of any text on the way.</summary>
    public const int MaxOutput = 1 << 20;

    private readonly IReadOnlyList<Statement> statements;
    private readonly JinjaSettings settings;

    /// <summary>Whether there is a generation tag anywhere.</summary>
    public bool HasGeneration { get; }

    /// <summary>Parses a template.</summary>
    /// <exception cref="UserException">It is not valid, or needs what is not supported; the message names the line.</exception>
    public JinjaTemplate(string template, JinjaSettings? settings = null)
    {
        this.settings = settings ?? JinjaSettings.Chat;
        if (template.Length > MaxOutput)
            throw new UserException(
                $"the {this.settings.Name} has {template.Length} characters, more than the {MaxOutput} that are allowed");
        try
        {
            statements = JinjaParser.Parse(template, this.settings);
        }
        catch (JinjaSyntaxException error)
        {
            throw Error(error.Line, error.Message, error);
        }
        HasGeneration = Contains(statements);
    }

    /// <summary>Whether the template is <c>{{ an expression }}</c> and nothing else.</summary>
    public bool IsExpression => statements is [Output];

    /// <summary>Whether that expression is a value as Python's ast.literal_eval takes it, and computes nothing.</summary>
    public bool IsLiteral => statements is [Output { Value: var expression }] && IsLiteralValue(expression);

    private static bool IsLiteralValue(Expression expression) => expression switch
    {
        Literal => true,
        Unary { Operator: "-" or "+", Operand: Literal { Value: long or double } } => true,
        ListLiteral list => list.Items.All(IsLiteralValue),
        DictLiteral dict => dict.Entries.All(entry => IsLiteralValue(entry.Key) && IsLiteralValue(entry.Value)),
        _ => false,
    };

    /// <summary>Renders the template.</summary>
    /// <param name="variables">Null, bool, long, double, string, <see cref="JinjaList"/>, <see cref="JinjaDict"/> or
    /// <see cref="JinjaFunction"/> by name.</param>
    /// <param name="marks">What is written before and behind the content of generation tags; null for nothing.</param>
    /// <exception cref="UserException">It fails, or exceeds a limit; the message names the line.</exception>
    public string Render(IReadOnlyDictionary<string, object?> variables, (char Begin, char End)? marks = null) =>
        Guarded(new JinjaRenderer(variables, marks, settings.IsStrict), renderer => renderer.Render(statements));

    /// <summary>The value of a template that is an expression.</summary>
    /// <exception cref="UserException">It fails, or exceeds a limit; the message names the line.</exception>
    public object? Value(IReadOnlyDictionary<string, object?> variables) =>
        Guarded(new JinjaRenderer(variables, null, settings.IsStrict), renderer => renderer.Value(((Output)statements[0]).Value));

    private T Guarded<T>(JinjaRenderer renderer, Func<JinjaRenderer, T> render)
    {
        try
        {
            return render(renderer);
        }
        catch (JinjaException error)
        {
            throw Error(renderer.Line, error.Message, error);
        }
        catch (OverflowException error)
        {
            throw Error(renderer.Line, "a whole number of more than 64 bits", error);
        }
        catch (InsufficientExecutionStackException error)
        {
            throw Error(renderer.Line, "values or calls are nested too deeply", error);
        }
    }

    private static bool Contains(IEnumerable<Statement> statements) => statements.Any(statement => statement switch
    {
        Generation => true,
        If choice => Contains(choice.Then) || Contains(choice.Else),
        For loop => Contains(loop.Body) || Contains(loop.Else),
        Macro macro => Contains(macro.Body),
        SetBlock block => Contains(block.Body),
        _ => false,
    });

    private UserException Error(int line, string message, Exception? inner = null) =>
        new($"{settings.Name}, line {line}: {message}", inner);
}

/// <summary>One rendering of a template.</summary>
internal sealed class JinjaRenderer
{
    private const int MaxDepth = 1000;

    // Globals of Jinja and names within macros that are refused rather than undefined.
    private static readonly string[] OtherNames = ["caller", "cycler", "dict", "joiner", "kwargs", "lipsum", "self", "super", "varargs"];

    private readonly JinjaBudget budget = new();
    private readonly Python python;
    private readonly JinjaFunctions functions;
    private readonly (char Begin, char End)? marks;
    private readonly bool isStrict;
    private Scope scope;
    private StringBuilder output = new();
    private int depth;

    public JinjaRenderer(IReadOnlyDictionary<string, object?> variables, (char Begin, char End)? marks, bool isStrict)
    {
        (this.marks, this.isStrict) = (marks, isStrict);
        python = new(budget);
        functions = new(budget, python, isStrict);
        Scope globals = new(null);
        globals.Values["namespace"] = new JinjaFunction(Namespace);
        globals.Values["range"] = new JinjaFunction(Range);
        foreach ((string name, object? value) in variables) globals.Values[name] = value;
        scope = new(globals);
    }

    /// <summary>Where it is.</summary>
    public int Line { get; private set; } = 1;

    private enum Flow { Next, Break, Continue }

    private sealed class Scope(Scope? outer)
    {
        public Scope? Outer => outer;

        public Dictionary<string, object?> Values { get; } = [];
    }

    private sealed record BoundMacro(Macro Macro, Scope Scope);

    public string Render(IReadOnlyList<Statement> statements)
    {
        Execute(statements);
        return output.ToString();
    }

    public object? Value(Expression expression)
    {
        object? value = Evaluate(expression);
        return value is Undefined { IsStrict: true } undefined ? throw undefined.Error : value;
    }

    private Flow Execute(IReadOnlyList<Statement> statements)
    {
        Enter();
        Flow flow = Flow.Next;
        for (int i = 0; i < statements.Count && flow == Flow.Next; i++)
        {
            Line = statements[i].Line;
            budget.Charge(JinjaBudget.Step);
            flow = Execute(statements[i]);
        }
        depth--;
        return flow;
    }

    private void Enter()
    {
        if (++depth > MaxDepth) throw new JinjaException($"more than {MaxDepth} levels of calls and expressions");
        RuntimeHelpers.EnsureSufficientExecutionStack();
    }

    private Flow Execute(Statement statement)
    {
        switch (statement)
        {
            case Text text:
                Write(text.Value);
                return Flow.Next;
            case Output written:
                Write(python.Str(Evaluate(written.Value)));
                return Flow.Next;
            case If choice:
                return Execute(Python.IsTrue(Evaluate(choice.Test)) ? choice.Then : choice.Else);
            case For loop:
                Repeat(loop);
                return Flow.Next;
            case LoopControl control:
                return control.Breaks ? Flow.Break : Flow.Continue;
            case Set set:
                Assign(set.Target, Evaluate(set.Value));
                return Flow.Next;
            case SetBlock block:
                Assign(block.Target, Captured(new(scope), block.Body));
                return Flow.Next;
            case Macro macro:
                scope.Values[macro.Name] = new BoundMacro(macro, scope);
                return Flow.Next;
            default:
                string said = Captured(new(scope), ((Generation)statement).Body);
                Write(marks is var (begin, end) ? $"{begin}{said}{end}" : said);
                return Flow.Next;
        }
    }

    private void Write(string text)
    {
        budget.Charge(text.Length);
        if (output.Length + text.Length > JinjaTemplate.MaxOutput)
            throw new JinjaException($"the output has more than the {JinjaTemplate.MaxOutput} characters that are allowed");
        output.Append(text);
    }

    // Runs statements in a scope; what they write is the result.
    private string Captured(Scope inner, IReadOnlyList<Statement> body)
    {
        (Scope outer, StringBuilder before) = (scope, output);
        (scope, output) = (inner, new());
        Execute(body);
        string text = output.ToString();
        (scope, output) = (outer, before);
        return text;
    }

    private void Repeat(For loop)
    {
        Scope outer = scope;
        IReadOnlyList<object?> items = python.Iterate(Evaluate(loop.Items));
        if (loop.Test is not null) items = [.. items.Where(item => Passes(loop, item))];
        scope = outer;
        for (int i = 0; i < items.Count; i++)
        {
            budget.Charge(JinjaBudget.Round);
            scope = new(outer) { Values = { ["loop"] = new Loop(items, i) } };
            Assign(loop.Target, items[i]);
            if (Execute(loop.Body) == Flow.Break) break;
        }
        scope = items.Count == 0 ? new(outer) : outer;
        if (items.Count == 0) Execute(loop.Else);
        scope = outer;
    }

    private bool Passes(For loop, object? item)
    {
        budget.Charge(JinjaBudget.Round);
        Scope outer = scope;
        scope = new(outer);
        Assign(loop.Target, item);
        bool passes = Python.IsTrue(Evaluate(loop.Test!));
        scope = outer;
        return passes;
    }

    private void Assign(Target target, object? value)
    {
        if (target.Attribute is { } attribute)
        {
            if (Find(target.Names[0]) is not JinjaNamespace space)
                throw new JinjaException($"'{target.Names[0]}.{attribute}' cannot be assigned: '{target.Names[0]}' is no namespace()");
            space.Attributes[attribute] = value;
            return;
        }
        if (!target.Unpacks)
        {
            scope.Values[target.Names[0]] = value;
            return;
        }
        IReadOnlyList<object?> items = python.Iterate(value);
        if (items.Count != target.Names.Count)
            throw new JinjaException($"{items.Count} values cannot be unpacked to {target.Names.Count} names");
        for (int i = 0; i < items.Count; i++) scope.Values[target.Names[i]] = items[i];
    }

    private object? Find(string name)
    {
        for (Scope? inner = scope; inner is not null; inner = inner.Outer)
            if (inner.Values.TryGetValue(name, out object? value)) return value;
        return OtherNames.Contains(name) ? throw new JinjaException($"'{name}' is not supported") : Missing($"'{name}'");
    }

    private object? Evaluate(Expression expression)
    {
        Enter();
        budget.Charge(JinjaBudget.Step);
        int outer = Line;
        Line = expression.Line;
        object? value = expression switch
        {
            Literal literal => literal.Value,
            Name name => Find(name.Text),
            ListLiteral list => new JinjaList(list.IsTuple ? ListKind.Tuple : ListKind.List, list.Items.Select(Evaluate)),
            DictLiteral dict => Dict(dict),
            Attribute attribute => functions.Attribute(Evaluate(attribute.Target), attribute.Text),
            Item item => functions.Item(Evaluate(item.Target), Evaluate(item.Index)),
            Slice slice => functions.Slice(
                Evaluate(slice.Target), EvaluateIfAny(slice.Start), EvaluateIfAny(slice.Stop), EvaluateIfAny(slice.Step)),
            Unary { Operator: "not" } not => !Python.IsTrue(Evaluate(not.Operand)),
            Unary { Operator: "-" } minus => Evaluate(minus.Operand) is var operand && operand is double number
                ? -number
                : python.Calculate("-", 0L, operand),
            Unary plus => python.Calculate("+", 0L, Evaluate(plus.Operand)),
            Binary { Operator: "and" } and => Evaluate(and.Left) is var left && Python.IsTrue(left) ? Evaluate(and.Right) : left,
            Binary { Operator: "or" } or => Evaluate(or.Left) is var left && Python.IsTrue(left) ? left : Evaluate(or.Right),
            Binary binary => python.Calculate(binary.Operator, Evaluate(binary.Left), Evaluate(binary.Right)),
            Concatenation joined => budget.Charged(string.Concat(joined.Parts.Select(part => budget.Charged(python.Str(Evaluate(part)))))),
            Comparison comparison => Holds(comparison),
            Conditional choice => Python.IsTrue(Evaluate(choice.Test)) ? Evaluate(choice.Then)
                : choice.Else is null ? new Undefined("the value of an if without an else", IsStrict: false) : Evaluate(choice.Else),
            Filter filter => functions.Filter(
                Evaluate(filter.Target), filter.Text, Evaluated($"the filter '{filter.Text}'", filter.Arguments)),
            Test test => functions.Test(Evaluate(test.Target), test.Text, Evaluated($"the test '{test.Text}'", test.Arguments)),
            _ => Called((Call)expression),
        };
        Line = outer;
        depth--;
        return value;
    }

    private Undefined Missing(string what) => new(what, isStrict);

    private object? EvaluateIfAny(Expression? expression) => expression is null ? null : Evaluate(expression);

    private JinjaDict Dict(DictLiteral literal)
    {
        JinjaDict dict = [];
        foreach ((Expression keyOf, Expression valueOf) in literal.Entries)
        {
            object? key = Evaluate(keyOf);
            if (key is not (string or long))
                throw new JinjaException($"{Python.TypeName(key)} cannot be a key; strings and whole numbers can");
            dict[key] = Evaluate(valueOf);
        }
        return dict;
    }

    private bool Holds(Comparison comparison)
    {
        object? left = Evaluate(comparison.First);
        foreach ((string symbol, Expression operand) in comparison.Rest)
        {
            object? right = Evaluate(operand);
            bool holds = symbol switch
            {
                "==" => python.AreEqual(left, right),
                "!=" => !python.AreEqual(left, right),
                "in" => python.Contains(right, left),
                "not in" => !python.Contains(right, left),
                "<" => python.Compare(left, right) < 0,
                "<=" => python.Compare(left, right) <= 0,
                ">" => python.Compare(left, right) > 0,
                _ => python.Compare(left, right) >= 0,
            };
            if (!holds) return false;
            left = right;
        }
        return true;
    }

    private CallArguments Evaluated(string callee, Arguments arguments)
    {
        Dictionary<string, object?> named = [];
        object?[] positional = [.. arguments.Positional.Select(Evaluate)];
        foreach ((string name, Expression value) in arguments.Named) named[name] = Evaluate(value);
        return new(callee, positional, named);
    }

    private object? Called(Call call)
    {
        object? callee = Evaluate(call.Target);
        string name = call.Target switch
        {
            Name function => function.Text,
            Attribute attribute => attribute.Text,
            _ => "a function",
        };
        CallArguments arguments = Evaluated(name, call.Arguments);
        return callee switch
        {
            BoundMacro macro => Expanded(macro, arguments),
            BoundMethod method => functions.Call(method, arguments),
            JinjaFunction function => function.Call(arguments),
            Undefined undefined => throw undefined.Error,
            _ => throw new JinjaException($"{Python.TypeName(callee)} cannot be called"),
        };
    }

    private string Expanded(BoundMacro bound, CallArguments arguments)
    {
        Scope outer = scope, inner = new(bound.Scope);
        scope = inner; // defaults see the parameters before them
        foreach ((string name, Expression? otherwise) in bound.Macro.Parameters)
            inner.Values[name] = arguments.HasPositional || arguments.Named.ContainsKey(name) ? arguments.Take(name)
                : otherwise is null ? Missing($"'{name}'") : Evaluate(otherwise);
        arguments.End();
        scope = outer;
        return Captured(inner, bound.Macro.Body);
    }

    private static JinjaNamespace Namespace(CallArguments arguments)
    {
        JinjaNamespace space = new();
        if (arguments.HasPositional) throw new JinjaException("namespace takes named arguments");
        foreach ((string name, object? value) in arguments.Named) space.Attributes[name] = value;
        return space;
    }

    private JinjaList Range(CallArguments arguments)
    {
        long first = Python.ToInt(arguments.Require("start"), "the bound of a range"), step = 1, start = 0, stop = first;
        if (arguments.HasPositional) (start, stop) = (first, Python.ToInt(arguments.Take("stop"), "the bound of a range"));
        if (arguments.HasPositional) step = Python.ToInt(arguments.Take("step"), "the step of a range");
        arguments.End();
        if (step == 0) throw new JinjaException("the step of a range is 0");
        long count = step > 0 ? Math.Max(0, (stop - start + step - 1) / step) : Math.Max(0, (start - stop - step - 1) / -step);
        budget.Charge(JinjaBudget.Step * count);
        return new(ListKind.Range, Enumerable.Range(0, (int)count).Select(index => (object?)(start + index * step)));
    }
}
