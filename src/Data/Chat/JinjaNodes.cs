namespace Trainer.Data.Chat;

/// <summary>A part of a template that is evaluated to a value, and its line.</summary>
internal abstract record Expression(int Line);

internal sealed record Literal(int Line, object? Value) : Expression(Line);

internal sealed record Name(int Line, string Text) : Expression(Line);

internal sealed record ListLiteral(int Line, IReadOnlyList<Expression> Items, bool IsTuple) : Expression(Line);

internal sealed record DictLiteral(int Line, IReadOnlyList<(Expression Key, Expression Value)> Entries) : Expression(Line);

internal sealed record Attribute(int Line, Expression Target, string Text) : Expression(Line);

internal sealed record Item(int Line, Expression Target, Expression Index) : Expression(Line);

internal sealed record Slice(int Line, Expression Target, Expression? Start, Expression? Stop, Expression? Step) : Expression(Line);

/// <summary>+x, -x or not x.</summary>
internal sealed record Unary(int Line, string Operator, Expression Operand) : Expression(Line);

/// <summary>Arithmetic, and, or.</summary>
internal sealed record Binary(int Line, string Operator, Expression Left, Expression Right) : Expression(Line);

/// <summary>a ~ b ~ c</summary>
internal sealed record Concatenation(int Line, IReadOnlyList<Expression> Parts) : Expression(Line);

/// <summary>a &lt; b &lt;= c, which is a &lt; b and b &lt;= c.</summary>
internal sealed record Comparison(int Line, Expression First, IReadOnlyList<(string Operator, Expression Operand)> Rest) : Expression(Line);

/// <summary>x if test else y</summary>
internal sealed record Conditional(int Line, Expression Test, Expression Then, Expression? Else) : Expression(Line);

internal sealed record Filter(int Line, Expression Target, string Text, Arguments Arguments) : Expression(Line);

/// <summary>x is test</summary>
internal sealed record Test(int Line, Expression Target, string Text, Arguments Arguments) : Expression(Line);

internal sealed record Call(int Line, Expression Target, Arguments Arguments) : Expression(Line);

internal sealed record Arguments(IReadOnlyList<Expression> Positional, IReadOnlyList<(string Name, Expression Value)> Named);

internal abstract record Statement(int Line);

internal sealed record Text(int Line, string Value) : Statement(Line);

internal sealed record Output(int Line, Expression Value) : Statement(Line);

internal sealed record If(int Line, Expression Test, IReadOnlyList<Statement> Then, IReadOnlyList<Statement> Else) : Statement(Line);

internal sealed record For(
    int Line, Target Target, Expression Items, Expression? Test, IReadOnlyList<Statement> Body, IReadOnlyList<Statement> Else)
    : Statement(Line);

internal sealed record LoopControl(int Line, bool Breaks) : Statement(Line);

internal sealed record Set(int Line, Target Target, Expression Value) : Statement(Line);

/// <summary>{% set x %}…{% endset %}</summary>
internal sealed record SetBlock(int Line, Target Target, IReadOnlyList<Statement> Body) : Statement(Line);

internal sealed record Macro(
    int Line, string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, IReadOnlyList<Statement> Body) : Statement(Line);

/// <summary>{% generation %}…{% endgeneration %}, which marks what an assistant says, for training.</summary>
internal sealed record Generation(int Line, IReadOnlyList<Statement> Body) : Statement(Line);

/// <summary>What is assigned to: names (several are unpacked), or an attribute of a namespace.</summary>
internal sealed record Target(int Line, IReadOnlyList<string> Names, bool Unpacks, string? Attribute = null);
