using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Trainer.Data.Chat;

internal enum TokenKind { Text, VariableBegin, VariableEnd, BlockBegin, BlockEnd, Name, String, Number, Operator, End }

/// <summary>A piece of a template. Value is the decoded string, or the number.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, int Line, object? Value = null);

/// <summary>Splits a template into text and the tokens of its tags. With <see cref="JinjaSettings.TrimsBlocks"/> it removes the white space
/// around tags as Jinja does with trim_blocks and lstrip_blocks: the newline after a block or comment, and the spaces before one that
/// begins its line.</summary>
internal sealed class JinjaLexer
{
    // Longer ones first.
    private static readonly string[] Operators =
    [
        "//", "**", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=", ".", ":", "|", ",",
    ];

    private readonly string source;
    private readonly bool trimsBlocks;
    private readonly List<Token> tokens = [];
    private int position;
    private int line = 1;
    private bool startsLine = true;

    private JinjaLexer(string template, JinjaSettings settings)
    {
        string text = template.Replace("\r\n", "\n").Replace('\r', '\n');
        source = text.EndsWith('\n') && !settings.KeepsTrailingNewline ? text[..^1] : text;
        trimsBlocks = settings.TrimsBlocks;
    }

    /// <summary>The tokens of a template, an end at last.</summary>
    /// <exception cref="JinjaSyntaxException">A tag or string has no end, or a character means nothing.</exception>
    public static List<Token> Tokenize(string template, JinjaSettings settings)
    {
        JinjaLexer lexer = new(template, settings);
        while (lexer.position < lexer.source.Length) lexer.ReadTextAndTag();
        lexer.Add(TokenKind.End, "the end of the template");
        return lexer.tokens;
    }

    private void ReadTextAndTag()
    {
        int tag = position;
        while (tag < source.Length && !(source[tag] == '{' && tag + 1 < source.Length && source[tag + 1] is '%' or '{' or '#')) tag++;
        if (tag >= source.Length)
        {
            AddText(source[position..]);
            position = source.Length;
            return;
        }
        char kind = source[tag + 1];
        char sign = tag + 2 < source.Length && source[tag + 2] is '-' or '+' ? source[tag + 2] : ' ';
        string text = source[position..tag];
        if (sign == '-') AddText(Trimmed(text), text);
        else if (trimsBlocks && sign != '+' && kind != '{') AddText(WithoutIndentation(text), text);
        else AddText(text);
        position = tag + (sign == ' ' ? 2 : 3);
        if (kind == '#') SkipComment();
        else ReadTag(kind == '{');
    }

    private void AddText(string text, string? consumed = null)
    {
        if (text.Length > 0) Add(TokenKind.Text, text);
        line += (consumed ?? text).Count('\n');
    }

    private void Add(TokenKind kind, string text, object? value = null) => tokens.Add(new(kind, text, line, value));

    private static string Trimmed(string text)
    {
        int end = text.Length;
        while (end > 0 && Python.IsSpace(text[end - 1])) end--;
        return text[..end];
    }

    private string WithoutIndentation(string text)
    {
        int start = text.LastIndexOf('\n') + 1;
        return (start > 0 || startsLine) && text.Skip(start).All(Python.IsSpace) ? text[..start] : text;
    }

    private void SkipComment()
    {
        int end = source.IndexOf("#}", position, StringComparison.Ordinal);
        if (end < 0) throw new JinjaSyntaxException(line, "the comment {# has no end; close it with #}");
        char sign = end > position ? source[end - 1] : ' ';
        Advance(end + 2);
        AfterTag(sign);
    }

    // Moves on, counting lines.
    private void Advance(int to)
    {
        line += source.AsSpan(position, to - position).Count('\n');
        position = to;
    }

    private void AfterTag(char sign)
    {
        int end = position;
        if (sign == '-')
            while (end < source.Length && Python.IsSpace(source[end])) end++;
        else if (trimsBlocks && sign != '+' && end < source.Length && source[end] == '\n') end++;
        startsLine = end > position && source[end - 1] == '\n';
        Advance(end);
    }

    private void ReadTag(bool isVariable)
    {
        string open = isVariable ? "{{" : "{%", close = isVariable ? "}}" : "%}";
        int begin = line;
        Stack<char> brackets = [];
        Add(isVariable ? TokenKind.VariableBegin : TokenKind.BlockBegin, open);
        while (true)
        {
            while (position < source.Length && Python.IsSpace(source[position])) Advance(position + 1);
            if (position >= source.Length) throw new JinjaSyntaxException(begin, $"the tag {open} has no end; close it with {close}");
            char sign = At(close, position) ? ' ' : source[position] is '-' or '+' && At(close, position + 1) ? source[position] : '\0';
            if (brackets.Count > 0 || sign == '\0' || (isVariable && sign == '+'))
            {
                ReadToken(brackets);
                continue;
            }
            Add(isVariable ? TokenKind.VariableEnd : TokenKind.BlockEnd, close);
            position += sign == ' ' ? 2 : 3;
            // A newline after {{ }} is text.
            if (!isVariable || sign == '-') AfterTag(sign);
            else startsLine = false;
            return;
        }
    }

    private bool At(string text, int index) => string.CompareOrdinal(source, index, text, 0, text.Length) == 0;

    private void ReadToken(Stack<char> brackets)
    {
        char next = source[position];
        if (next is '\'' or '"') ReadString(next);
        else if (char.IsAsciiDigit(next)) ReadNumber();
        else if (char.IsLetter(next) || next == '_') ReadName();
        else
        {
            string symbol = Array.Find(Operators, candidate => At(candidate, position))
                ?? throw new JinjaSyntaxException(line, $"the character '{next}' means nothing here");
            if (symbol is "(" or "[" or "{") brackets.Push(symbol switch { "(" => ')', "[" => ']', _ => '}' });
            if (symbol is ")" or "]" or "}" && (!brackets.TryPop(out char expected) || expected != symbol[0]))
                throw new JinjaSyntaxException(line, $"'{symbol}' closes no bracket");
            Add(TokenKind.Operator, symbol);
            position += symbol.Length;
        }
    }

    private void ReadName()
    {
        int end = position;
        while (end < source.Length && (char.IsLetterOrDigit(source[end]) || source[end] == '_')) end++;
        Add(TokenKind.Name, source[position..end]);
        position = end;
    }

    private void ReadNumber()
    {
        int end = Digits(position);
        bool isWhole = true;
        bool afterDot = position > 0 && source[position - 1] == '.'; // x.0.1 is two attributes
        if (!afterDot && end + 1 < source.Length && source[end] == '.' && char.IsAsciiDigit(source[end + 1]))
            (end, isWhole) = (Digits(end + 1), false);
        if (!afterDot && end < source.Length && source[end] is 'e' or 'E')
        {
            int digits = end + 1 < source.Length && source[end + 1] is '+' or '-' ? end + 2 : end + 1;
            if (digits < source.Length && char.IsAsciiDigit(source[digits])) (end, isWhole) = (Digits(digits), false);
        }
        string text = source[position..end].Replace("_", "");
        if (end < source.Length && (char.IsLetterOrDigit(source[end]) || source[end] == '_')
            || (isWhole && text.Length > 1 && text[0] == '0') || (isWhole && !long.TryParse(text, out _)))
            throw new JinjaSyntaxException(line, $"the number {source[position..Math.Min(end + 1, source.Length)]} is not supported; "
                + "write a decimal one of at most 64 bits");
        CultureInfo invariant = CultureInfo.InvariantCulture;
        Add(TokenKind.Number, text, isWhole ? (object)long.Parse(text, invariant) : double.Parse(text, invariant));
        position = end;
    }

    private int Digits(int from)
    {
        while (from < source.Length && (char.IsAsciiDigit(source[from])
            || (source[from] == '_' && from + 1 < source.Length && char.IsAsciiDigit(source[from + 1])))) from++;
        return from;
    }

    private void ReadString(char quote)
    {
        int end = position + 1;
        while (end < source.Length && source[end] != quote) end += source[end] == '\\' ? 2 : 1;
        if (end >= source.Length) throw new JinjaSyntaxException(line, $"a string has no end; close it with {quote}");
        string text = source[position..(end + 1)];
        Add(TokenKind.String, text, text.Contains('\\') ? Unescaped(text[1..^1]) : text[1..^1]);
        Advance(end + 1);
    }

    private string Unescaped(string text)
    {
        StringBuilder result = new();
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                result.Append(text[i]);
                continue;
            }
            char escape = text[++i];
            int digits = escape switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
            if (digits > 0)
            {
                result.Append(CodePoint(text.Substring(i + 1, Math.Min(digits, text.Length - i - 1)), digits));
                i += digits;
            }
            else if (escape is 'N' or (>= '0' and <= '7'))
                throw new JinjaSyntaxException(line, $"the escape \\{escape} is not supported; write \\u and four hexadecimal digits");
            else if (escape != '\n') result.Append(Escape(escape));
        }
        return result.ToString();
    }

    // Python keeps an escape that it does not know.
    private static string Escape(char escape) => escape switch
    {
        'n' => "\n", 't' => "\t", 'r' => "\r", 'b' => "\b", 'f' => "\f", 'v' => "\v", 'a' => "\a",
        '\\' or '\'' or '"' => escape.ToString(),
        _ => $"\\{escape}",
    };

    private string CodePoint(string hex, int digits) =>
        hex.Length == digits && int.TryParse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int value)
        && Rune.TryCreate(value, out Rune rune)
            ? rune.ToString()
            : throw new JinjaSyntaxException(line, $"the escape of '{hex}' is no character; it takes {digits} hexadecimal digits");
}

/// <summary>Reads tokens one by one.</summary>
internal abstract class TokenReader(List<Token> tokens)
{
    private const int MaxDepth = 100;

    private int position;
    private int depth;

    protected Token Current => tokens[position];

    protected Token Following => tokens[position + 1];

    protected Token Next() => tokens[position++];

    protected void Back() => position--;

    protected bool IsName(string text) => Current.Kind == TokenKind.Name && Current.Text == text;

    protected bool IsOperator(string text) => Current.Kind == TokenKind.Operator && Current.Text == text;

    protected bool Skip(string text)
    {
        bool found = Current.Kind is TokenKind.Name or TokenKind.Operator && Current.Text == text;
        if (found) position++;
        return found;
    }

    protected void Expect(string text)
    {
        if (!Skip(text)) throw Unexpected($"'{text}'");
    }

    protected Token Expect(TokenKind kind, string what) => Current.Kind == kind ? Next() : throw Unexpected(what);

    protected JinjaSyntaxException Unexpected(string expected) =>
        new JinjaSyntaxException(Current.Line, $"found '{Current.Text}' where {expected} is expected");

    protected T Nested<T>(Func<T> parse)
    {
        if (++depth > MaxDepth || !RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new JinjaSyntaxException(Current.Line, $"more than {MaxDepth} levels of nesting");
        T result = parse();
        depth--;
        return result;
    }
}
