using System.Text;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.RegularExpressions;

/// <summary>Parses Oniguruma's Ruby syntax: <c>^</c> and <c>$</c> match at lines, <c>\h</c> is a hexadecimal digit, <c>(?m)</c> lets the
/// dot match line feeds, and <c>{n,m}+</c> repeats a repetition. Anything not understood is an error.</summary>
internal sealed class RegularExpressionParser
{
    private const int DeepestGroup = 100, LargestCount = 1000;

    private readonly string pattern;
    private int position;
    private int depth;

    private RegularExpressionParser(string pattern) => this.pattern = pattern;

    public static Node Parse(string pattern)
    {
        var parser = new RegularExpressionParser(pattern);
        var flags = new Flags(IgnoreCase: false, DotAll: false);
        if (pattern.StartsWith("(?i)", StringComparison.Ordinal))
            (parser.position, flags) = (4, flags with { IgnoreCase = true });
        var node = parser.Choices(flags);
        return parser.position == pattern.Length ? node : throw parser.Error("there is a ) too many");
    }

    internal bool AtEnd => position == pattern.Length;

    private char Current => AtEnd ? '\0' : pattern[position];

    private Node Choices(Flags flags)
    {
        if (++depth > DeepestGroup)
            throw Error("groups are nested too deeply");
        var choices = new List<Node> { Chain(flags) };
        while (Take('|'))
            choices.Add(Chain(flags));
        depth--;
        return choices.Count == 1 ? choices[0] : new Node.Alternation(choices);
    }

    private Node.Sequence Chain(Flags flags)
    {
        var parts = new List<Node>();
        var literal = new StringBuilder();
        while (!AtEnd && Current is not ('|' or ')'))
        {
            var start = position;
            var part = Repeated(Item(flags));
            parts.Add(part);
            literal.Append(part is Node.One && pattern[start] is not ('[' or '\\' or '.') ? pattern[start..position] : "\0");
        }
        if (flags.IgnoreCase)
            CaseFolding.Check(literal.ToString());
        return new Node.Sequence(parts);
    }

    private Node Repeated(Node item)
    {
        while (!AtEnd)
        {
            var (minimum, maximum, braces) = Quantifier();
            if (minimum < 0)
                return item;
            if (item is Node.Assertion or Node.Look)
                throw Error("a repeated position is not supported");
            var mode = Take('?') ? RepeatMode.Lazy : !braces && Take('+') ? RepeatMode.Possessive : RepeatMode.Greedy;
            if (braces && mode == RepeatMode.Lazy && minimum == maximum)   // in Ruby, {n}? is an optional {n}
                item = new Node.Repeat(new Node.Repeat(item, minimum, maximum, RepeatMode.Greedy), 0, 1, RepeatMode.Greedy);
            else
                item = new Node.Repeat(item, minimum, maximum, mode);
            if (maximum < 0 && ((Node.Repeat)item).Body.MinimumLength == 0)
                throw Error("an unlimited repetition of what may be empty is not supported");
        }
        return item;
    }

    /// <summary>A quantifier's counts; a minimum of −1 if there is none here.</summary>
    private (int Minimum, int Maximum, bool Braces) Quantifier()
    {
        if (Take('*'))
            return (0, -1, false);
        if (Take('+'))
            return (1, -1, false);
        if (Take('?'))
            return (0, 1, false);
        var start = position;
        if (!Take('{'))
            return (-1, -1, false);
        var minimum = Number();
        var maximum = Take(',') ? Number() : minimum;
        if (!Take('}') || (minimum < 0 && maximum < 0))
        {
            position = start;   // no counts: a literal brace
            return (-1, -1, false);
        }
        if (maximum >= 0 && maximum < minimum)
            throw Error("a repetition's maximum is below its minimum");
        return (Math.Max(0, minimum), maximum, true);
    }

    private int Number()
    {
        var start = position;
        while (char.IsAsciiDigit(Current))
            position++;
        if (start == position)
            return -1;
        return int.TryParse(pattern.AsSpan(start, position - start), out var value) && value <= LargestCount
            ? value
            : throw Error($"repetitions of more than {LargestCount} are not supported");
    }

    private Node Item(Flags flags)
    {
        var at = position;
        switch (Current)
        {
            case '(':
                position++;
                return Group(flags);
            case '[':
                position++;
                return new Node.One(new CharacterSetParser(this, flags.IgnoreCase).Parse());
            case '.':
                position++;
                return new Node.One(flags.DotAll ? CharacterSets.Any : CharacterSets.NoLineFeed);
            case '^':
                position++;
                return new Node.Assertion(Anchor.LineStart);
            case '$':
                position++;
                return new Node.Assertion(Anchor.LineEnd);
            case '*' or '+' or '?':
                throw Error($"the {Current} repeats nothing");
            case '\\':
                position++;
                return Escape(flags);
            default:
                return Literal(CodePoint(), flags);
        }
    }

    private static Node.One Literal(int codePoint, Flags flags)
    {
        var variants = flags.IgnoreCase ? CaseFolding.Of(codePoint) : [codePoint];
        return new Node.One(CodePointSet.Of(variants.Order().Select(variant => (variant, variant))));
    }

    private Node Group(Flags flags)
    {
        Node node;
        if (!Take('?'))
            node = Choices(flags);
        else if (Take(':'))
            node = Choices(flags);
        else if (Take('='))
            node = new Node.Look(Choices(flags), Behind: false, Negative: false);
        else if (Take('!'))
            node = new Node.Look(Choices(flags), Behind: false, Negative: true);
        else if (Take('>'))
            node = new Node.Atomic(Choices(flags));
        else if (TakeAll("<="))
            node = Behind(Choices(flags), negative: false);
        else if (TakeAll("<!"))
            node = Behind(Choices(flags), negative: true);
        else if (Take('<'))
            node = Named(flags);
        else
            node = Choices(GroupFlags(flags));
        return Take(')') ? node : throw Error("a ( has no )");
    }

    private Node.Look Behind(Node body, bool negative)
    {
        Node[] choices = body is Node.Alternation alternation ? [.. alternation.Choices] : [body];
        return Array.TrueForAll(choices, choice => choice.FixedLength >= 0)
            ? new Node.Look(body, Behind: true, negative)
            : throw Error("looking behind for a varying length is not supported");
    }

    private Node Named(Flags flags)
    {
        var end = pattern.IndexOf('>', position);
        if (end < 0)
            throw Error("the name of a group has no >");
        position = end + 1;
        return Choices(flags);
    }

    /// <summary>The flags of <c>(?i:…)</c>: i ignores case, m lets the dot match line feeds, a minus clears.</summary>
    private Flags GroupFlags(Flags flags)
    {
        var value = true;
        for (; !AtEnd && Current != ':'; position++)
            switch (Current)
            {
                case '-':
                    value = false;
                    break;
                case 'i':
                    flags = flags with { IgnoreCase = value };
                    break;
                case 'm':
                    flags = flags with { DotAll = value };
                    break;
                default:
                    throw Error($"the group (?{Current} is not supported");
            }
        return Take(':') ? flags : throw Error("a ( has no )");
    }

    private Node Escape(Flags flags)
    {
        if (SetEscape() is { } set)
            return new Node.One(flags.IgnoreCase ? CaseFolding.Ignoring(set.Contains) : set);
        Anchor? anchor = Current switch
        {
            'A' => Anchor.TextStart,
            'z' => Anchor.TextEnd,
            'Z' => Anchor.LastLineEnd,
            'b' => Anchor.WordBoundary,
            'B' => Anchor.NoWordBoundary,
            _ => null,
        };
        if (anchor is null)
            return Literal(CharacterEscape(), flags);
        position++;
        return new Node.Assertion(anchor.Value);
    }

    /// <summary>The set of an escape such as <c>\s</c> or <c>\p{L}</c>, after the backslash; null for others, consuming nothing.</summary>
    internal CodePointSet? SetEscape()
    {
        switch (Current)
        {
            case 's' or 'S' or 'd' or 'D' or 'w' or 'W' or 'h' or 'H':
                var letter = pattern[position++];
                var set = char.ToLowerInvariant(letter) switch
                {
                    's' => CharacterSets.WhiteSpace,
                    'd' => CharacterSets.Digit,
                    'w' => CharacterSets.Word,
                    _ => CharacterSets.HexadecimalDigit,
                };
                return char.IsAsciiLetterUpper(letter) ? CharacterSets.Not(set) : set;
            case 'p' or 'P' when position + 1 < pattern.Length && pattern[position + 1] == '{':
                return Property();
            default:
                return null;
        }
    }

    private CodePointSet Property()
    {
        var negative = Current == 'P';
        var end = pattern.IndexOf('}', position);
        if (end < 0)
            throw Error(@"a \p{ has no }");
        var name = pattern[(position + 2)..end];
        position = end + 1;
        if (name.StartsWith('^'))
            (negative, name) = (!negative, name[1..]);
        var set = CharacterSets.Property(name)
            ?? throw Error($@"the property \p{{{name}}} is not supported; supported are the general categories such as L, Lu and N");
        return negative ? CharacterSets.Not(set) : set;
    }

    internal int CharacterEscape()
    {
        if (AtEnd)
            throw Error("it ends in a backslash");
        var escaped = CodePoint();
        switch (escaped)
        {
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'f':
                return '\f';
            case 'v':
                return '\v';
            case 'a':
                return '\a';
            case 'e':
                return 0x1B;
            case 'x' when Take('{'):
                return Closed(Hexadecimal(1, 8));
            case 'x':
                return Hexadecimal(1, 2);
            case 'u':
                return Hexadecimal(4, 4);
            case 'p' or 'P':
                return escaped;   // without braces, a literal letter
            case < 128 when char.IsAsciiLetterOrDigit((char)escaped):
                throw Error($@"\{(char)escaped} is not supported");
            default:
                return escaped;
        }
    }

    private int Closed(int value) => Take('}') ? value : throw Error(@"a \x{ has no }");

    private int Hexadecimal(int minimum, int maximum)
    {
        var (value, digits) = (0L, 0);
        for (; digits < maximum && char.IsAsciiHexDigit(Current); digits++, position++)
            value = value * 16 + Convert.ToInt32(Current.ToString(), 16);
        return digits >= minimum && Rune.IsValid((int)Math.Min(value, int.MaxValue))
            ? (int)value
            : throw Error("a character's code is no Unicode character");
    }

    internal int CodePoint()
    {
        if (Rune.DecodeFromUtf16(pattern.AsSpan(position), out var character, out var length) != System.Buffers.OperationStatus.Done)
            throw Error("it is no valid Unicode text");
        position += length;
        return character.Value;
    }

    internal bool Take(char expected)
    {
        if (AtEnd || Current != expected)
            return false;
        position++;
        return true;
    }

    internal bool TakeAll(string expected)
    {
        if (string.CompareOrdinal(pattern, position, expected, 0, expected.Length) != 0)
            return false;
        position += expected.Length;
        return true;
    }

    internal bool Sees(string expected) => string.CompareOrdinal(pattern, position, expected, 0, expected.Length) == 0;

    internal RegularExpressionException Error(string what) => new($"{what} (at {position})");

    private readonly record struct Flags(bool IgnoreCase, bool DotAll);
}

/// <summary>Parses a bracketed set after its opening bracket: ranges, escapes, nested sets; no POSIX names, no intersections.</summary>
internal sealed class CharacterSetParser(RegularExpressionParser parser, bool ignoreCase, int depth = 0)
{
    private readonly List<Func<int, bool>> members = [];

    public CodePointSet Parse()
    {
        if (depth > 20)
            throw parser.Error("sets are nested too deeply");
        var negative = parser.Take('^');
        for (var first = true; first || !parser.Take(']'); first = false)
            Member(first);
        bool Contains(int codePoint)
        {
            foreach (var member in members)
                if (member(codePoint))
                    return true;
            return false;
        }
        var set = ignoreCase ? CaseFolding.Ignoring(Contains) : new CodePointSet(Contains);
        return negative ? CharacterSets.Not(set) : set;
    }

    private void Member(bool first)
    {
        if (parser.AtEnd)
            throw parser.Error("a [ has no ]");
        if (parser.Sees("[:") || parser.Sees("&&"))
            throw parser.Error("POSIX names and intersections in sets are not supported");
        if (first && parser.Sees("]"))
            throw parser.Error(@"a set that begins with ] is not supported; write \]");
        if (parser.Take('['))
            members.Add(new CharacterSetParser(parser, ignoreCase, depth + 1).Parse().Contains);
        else if (parser.Take('\\'))
            Escape();
        else
            Range(parser.CodePoint());
    }

    private void Escape()
    {
        if (parser.SetEscape() is { } set)
            members.Add(set.Contains);
        else if (parser.Take('b'))
            Range('\b');
        else
            Range(parser.CharacterEscape());
    }

    private void Range(int first)
    {
        var last = first;
        if (parser.Sees("-") && !parser.Sees("-]") && parser.Take('-'))
        {
            if (parser.Sees("[") || parser.AtEnd)
                throw parser.Error("a range in a set has no end");
            last = parser.Take('\\') ? parser.CharacterEscape() : parser.CodePoint();
        }
        if (last < first)
            throw parser.Error("a range in a set ends before it begins");
        members.Add(codePoint => codePoint >= first && codePoint <= last);
    }
}
