namespace Trainer.Data.Chat;

/// <summary>Parses the tokens of a template, with Jinja's grammar and precedence.</summary>
internal sealed class JinjaParser(List<Token> tokens) : TokenReader(tokens)
{
    private static readonly string[] Comparisons = ["==", "!=", "<", "<=", ">", ">="];

    private int loops;

    /// <exception cref="JinjaSyntaxException">The template is not valid, or needs what is not supported.</exception>
    public static IReadOnlyList<Statement> Parse(string template, JinjaSettings settings) =>
        new JinjaParser(JinjaLexer.Tokenize(template, settings)).ParseStatements([]);

    // Ends before a tag whose name is one of the ends.
    private List<Statement> ParseStatements(string[] ends)
    {
        List<Statement> statements = [];
        while (true)
        {
            Token token = Current;
            switch (token.Kind)
            {
                case TokenKind.Text:
                    Next();
                    statements.Add(new Text(token.Line, token.Text));
                    break;
                case TokenKind.VariableBegin:
                    Next();
                    statements.Add(new Output(token.Line, ParseTuple()));
                    Expect(TokenKind.VariableEnd, "}}");
                    break;
                case TokenKind.BlockBegin when ends.Contains(Following.Text):
                    return statements;
                case TokenKind.BlockBegin:
                    Next();
                    statements.Add(Nested(ParseTag));
                    break;
                default:
                    return ends.Length == 0 ? statements : throw Unexpected($"{{% {ends[^1]} %}}");
            }
        }
    }

    private List<Statement> ParseBody(params string[] ends)
    {
        Skip(":"); // as Python has it
        Expect(TokenKind.BlockEnd, "%}");
        List<Statement> body = ParseStatements(ends);
        Next();
        return body;
    }

    private Statement ParseTag()
    {
        Token name = Expect(TokenKind.Name, "the name of a tag");
        Statement statement = name.Text switch
        {
            "if" => ParseIf(name.Line),
            "for" => ParseFor(name.Line),
            "set" => ParseSet(name.Line),
            "macro" => ParseMacro(name.Line),
            "generation" => new Generation(name.Line, ParseToEnd("endgeneration")),
            "break" or "continue" when loops > 0 => new LoopControl(name.Line, name.Text == "break"),
            "break" or "continue" => throw new JinjaSyntaxException(name.Line, $"{{% {name.Text} %}} is outside of a loop"),
            _ => throw new JinjaSyntaxException(name.Line, $"the tag {{% {name.Text} %}} is not supported here; "
                + "if, for, set, macro, break, continue and generation are"),
        };
        Expect(TokenKind.BlockEnd, "%}");
        return statement;
    }

    // What is written to a text; a loop around is not left from there.
    private List<Statement> ParseToEnd(string end)
    {
        int around = loops;
        loops = 0;
        List<Statement> body = ParseBody(end);
        loops = around;
        Expect(end);
        return body;
    }

    private If ParseIf(int line)
    {
        Expression test = ParseTuple(conditionals: false);
        List<Statement> then = ParseBody("elif", "else", "endif");
        if (IsName("elif"))
        {
            int next = Next().Line;
            return new(line, test, then, [Nested(() => ParseIf(next))]);
        }
        List<Statement> otherwise = Skip("else") ? ParseBody("endif") : [];
        Expect("endif");
        return new(line, test, then, otherwise);
    }

    private For ParseFor(int line)
    {
        Target target = ParseTarget(attributes: false);
        Expect("in");
        Expression items = ParseTuple(conditionals: false);
        Expression? test = Skip("if") ? ParseExpression() : null;
        if (IsName("recursive")) throw new JinjaSyntaxException(line, "recursive loops are not supported; use a macro");
        loops++;
        List<Statement> body = ParseBody("else", "endfor");
        loops--;
        List<Statement> otherwise = Skip("else") ? ParseBody("endfor") : [];
        Expect("endfor");
        return new(line, target, items, test, body, otherwise);
    }

    private Statement ParseSet(int line)
    {
        Target target = ParseTarget(attributes: true);
        if (Skip("=")) return new Set(line, target, ParseTuple());
        if (IsOperator("|"))
            throw new JinjaSyntaxException(line, "filters of a {% set %} block are not supported; filter where it is used");
        return new SetBlock(line, target, ParseToEnd("endset"));
    }

    private Target ParseTarget(bool attributes)
    {
        int line = Current.Line;
        bool inBrackets = Skip("(");
        List<string> names = [ParseTargetName()];
        if (attributes && Skip(".")) return new(line, names, Unpacks: false, ParseTargetName());
        bool unpacks = false;
        while (Skip(","))
        {
            unpacks = true;
            if (Current.Kind != TokenKind.Name || IsName("in")) break;
            names.Add(ParseTargetName());
        }
        if (inBrackets) Expect(")");
        return new(line, names, unpacks);
    }

    private string ParseTargetName()
    {
        Token name = Expect(TokenKind.Name, "a name");
        return name.Text is not ("true" or "false" or "none" or "True" or "False" or "None" or "loop")
            ? name.Text
            : throw new JinjaSyntaxException(name.Line, $"nothing can be assigned to '{name.Text}'");
    }

    private Macro ParseMacro(int line)
    {
        string name = ParseTargetName();
        List<(string, Expression?)> parameters = [];
        Expect("(");
        while (!Skip(")"))
        {
            if (parameters.Count > 0) Expect(",");
            string parameter = ParseTargetName();
            parameters.Add((parameter, Skip("=") ? ParseExpression() : null));
            if (parameters is [.., (_, not null), (_, null)])
                throw new JinjaSyntaxException(line, $"the parameter '{parameter}' has no default, and one before it has");
        }
        return new(line, name, parameters, ParseToEnd("endmacro"));
    }

    // One expression, or several with commas between, which are a tuple.
    private Expression ParseTuple(bool conditionals = true)
    {
        int line = Current.Line;
        List<Expression> items = [];
        bool isTuple = false;
        while (!EndsTuple())
        {
            items.Add(conditionals ? ParseExpression() : Nested(ParseOr));
            if (!Skip(",")) break;
            isTuple = true;
        }
        if (items.Count == 0) throw Unexpected("an expression");
        return isTuple ? new ListLiteral(line, items, IsTuple: true) : items[0];
    }

    private bool EndsTuple() => Current.Kind is TokenKind.VariableEnd or TokenKind.BlockEnd or TokenKind.End || IsOperator(")");

    private Expression ParseExpression() => Nested(ParseConditional);

    private Expression ParseConditional()
    {
        Expression value = ParseOr();
        while (IsName("if"))
        {
            int line = Next().Line;
            Expression test = ParseOr();
            value = new Conditional(line, test, value, Skip("else") ? ParseExpression() : null);
        }
        return value;
    }

    private Expression ParseOr() => ParseLeft(ParseAnd, "or");

    private Expression ParseAnd() => ParseLeft(ParseNot, "and");

    private Expression ParseNot() =>
        IsName("not") ? new Unary(Next().Line, "not", Nested(ParseNot)) : ParseComparison();

    private Expression ParseComparison()
    {
        int line = Current.Line;
        Expression first = ParseSum();
        List<(string, Expression)> rest = [];
        while (true)
        {
            if (Current.Kind == TokenKind.Operator && Comparisons.Contains(Current.Text)) rest.Add((Next().Text, ParseSum()));
            else if (Skip("in")) rest.Add(("in", ParseSum()));
            else if (IsName("not") && Following is { Kind: TokenKind.Name, Text: "in" })
            {
                Next();
                Next();
                rest.Add(("not in", ParseSum()));
            }
            else return rest.Count == 0 ? first : new Comparison(line, first, rest);
        }
    }

    private Expression ParseSum() => ParseLeft(ParseConcatenation, "+", "-");

    private Expression ParseConcatenation()
    {
        int line = Current.Line;
        List<Expression> parts = [ParseProduct()];
        while (Skip("~")) parts.Add(ParseProduct());
        return parts.Count == 1 ? parts[0] : new Concatenation(line, parts);
    }

    private Expression ParseProduct() => ParseLeft(ParsePower, "*", "/", "//", "%");

    private Expression ParsePower() => ParseLeft(() => ParseUnary(), "**");

    // Operators of one precedence, from the left; "and" and "or" are names.
    private Expression ParseLeft(Func<Expression> parse, params ReadOnlySpan<string> operators)
    {
        Expression left = parse();
        while (Current.Kind is TokenKind.Operator or TokenKind.Name && operators.Contains(Current.Text))
        {
            Token token = Next();
            left = new Binary(token.Line, token.Text, left, parse());
        }
        return left;
    }

    private Expression ParseUnary(bool filters = true)
    {
        Expression value = IsOperator("-") || IsOperator("+")
            ? new Unary(Current.Line, Next().Text, Nested(() => ParseUnary(filters: false)))
            : ParsePrimary();
        value = ParsePostfix(value);
        return filters ? ParseFilters(value) : value;
    }

    private Expression ParsePrimary()
    {
        Token token = Next();
        switch (token.Kind)
        {
            case TokenKind.Name:
                return token.Text switch
                {
                    "true" or "True" => new Literal(token.Line, true),
                    "false" or "False" => new Literal(token.Line, false),
                    "none" or "None" => new Literal(token.Line, null),
                    _ => new Name(token.Line, token.Text),
                };
            case TokenKind.String:
                List<string> parts = [(string)token.Value!];
                while (Current.Kind == TokenKind.String) parts.Add((string)Next().Value!);
                return new Literal(token.Line, string.Concat(parts));
            case TokenKind.Number:
                return new Literal(token.Line, token.Value);
            case TokenKind.Operator when token.Text == "(":
                Expression inner = IsOperator(")") ? new ListLiteral(token.Line, [], IsTuple: true) : ParseTuple();
                Expect(")");
                return inner;
            case TokenKind.Operator when token.Text == "[":
                return new ListLiteral(token.Line, ParseUntil("]", ParseExpression), IsTuple: false);
            case TokenKind.Operator when token.Text == "{":
                return new DictLiteral(token.Line, ParseUntil("}", ParseEntry));
            default:
                Back();
                throw Unexpected("a value");
        }
    }

    // Items with commas between; a last comma is allowed.
    private List<T> ParseUntil<T>(string end, Func<T> parse)
    {
        List<T> items = [];
        while (!Skip(end))
        {
            if (items.Count > 0) Expect(",");
            if (items.Count > 0 && Skip(end)) break;
            items.Add(parse());
        }
        return items;
    }

    private (Expression, Expression) ParseEntry()
    {
        Expression key = ParseExpression();
        Expect(":");
        return (key, ParseExpression());
    }

    private Expression ParsePostfix(Expression value)
    {
        while (true)
        {
            int line = Current.Line;
            if (Skip("[")) value = ParseItem(line, value);
            else if (IsOperator("(")) value = new Call(line, value, ParseArguments());
            else if (Skip("."))
                value = Current is { Kind: TokenKind.Number, Value: long index }
                    ? new Item(line, value, new Literal(Next().Line, index))
                    : new Attribute(line, value, Expect(TokenKind.Name, "the name of an attribute").Text);
            else return value;
        }
    }

    private Expression ParseItem(int line, Expression target)
    {
        Expression? start = IsOperator(":") ? null : ParseExpression();
        if (start is not null && Skip("]")) return new Item(line, target, start);
        Expect(":");
        Expression? stop = IsOperator(":") || IsOperator("]") ? null : ParseExpression();
        Expression? step = Skip(":") && !IsOperator("]") ? ParseExpression() : null;
        Expect("]");
        return new Slice(line, target, start, stop, step);
    }

    private Expression ParseFilters(Expression value)
    {
        while (true)
        {
            int line = Current.Line;
            if (Skip("|"))
            {
                string name = Expect(TokenKind.Name, "the name of a filter").Text;
                value = new Filter(line, value, name, IsOperator("(") ? ParseArguments() : new([], []));
            }
            else if (Skip("is")) value = ParseTest(line, value);
            else if (IsOperator("(")) value = new Call(line, value, ParseArguments());
            else return value;
        }
    }

    private Expression ParseTest(int line, Expression value)
    {
        bool negated = Skip("not");
        string name = Expect(TokenKind.Name, "the name of a test").Text;
        bool hasOperand = Current.Kind is TokenKind.Name or TokenKind.String or TokenKind.Number || IsOperator("[") || IsOperator("{");
        Arguments arguments = IsOperator("(") ? ParseArguments()
            : hasOperand && Current.Text is not ("else" or "or" or "and") ? new([ParsePostfix(ParsePrimary())], [])
            : new([], []);
        Expression test = new Test(line, value, name, arguments);
        return negated ? new Unary(line, "not", test) : test;
    }

    private Arguments ParseArguments()
    {
        List<Expression> positional = [];
        List<(string, Expression)> named = [];
        Expect("(");
        ParseUntil(")", () =>
        {
            if (IsOperator("*") || IsOperator("**"))
                throw new JinjaSyntaxException(Current.Line, "arguments with * are not supported; write them one by one");
            if (Current.Kind == TokenKind.Name && Following is { Kind: TokenKind.Operator, Text: "=" })
            {
                string name = Next().Text;
                Next();
                named.Add((name, ParseExpression()));
            }
            else if (named.Count > 0) throw Unexpected("a named argument");
            else positional.Add(ParseExpression());
            return true;
        });
        return new(positional, named);
    }
}
