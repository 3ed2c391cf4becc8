using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>Parses the regular expressions of <c>tokenizer.json</c>, which are Oniguruma's in its Ruby syntax.</summary>
/// <remarks>In that syntax <c>^</c> and <c>$</c> stand at lines, <c>\h</c> is a hexadecimal digit, <c>(?m)</c> lets the dot match line feeds,
/// and <c>{n,m}+</c> repeats a repetition. What is not understood is an error.</remarks>
internal sealed class Parser
{
    private const int DeepestGroup = 100, LargestCount = 1000;

    private readonly string pattern;
    private int position;
    private int depth;

    private Parser(string pattern) => this.pattern = pattern;

    /// <summary>The expression that a pattern stands for.</summary>
    /// <exception cref="RegularExpressionException">It is malformed or not supported.</exception>
    public static Node Parse(string pattern)
    {
        var parser = new Parser(pattern);
        var flags = new Flags(IgnoreCase: false, DotAll: false);
        if (pattern.StartsWith("(?i)", StringComparison.Ordinal))
            (parser.position, flags) = (4, flags with { IgnoreCase = true });
        var node = parser.Choices(flags);
        return parser.position == pattern.Length ? node : throw parser.Wrong("there is a ) too many");
    }

    private bool AtEnd => position == pattern.Length;

    private char Current => AtEnd ? '\0' : pattern[position];

    private Node Choices(Flags flags)
    {
        if (++depth > DeepestGroup)
            throw Wrong("groups are nested too deeply");
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
                throw Wrong("a repeated position is not supported");
            var mode = Take('?') ? RepeatMode.Lazy : !braces && Take('+') ? RepeatMode.Possessive : RepeatMode.Greedy;
            if (braces && mode == RepeatMode.Lazy && minimum == maximum)   // Ruby's {n}? is an optional {n}
                item = new Node.Repeat(new Node.Repeat(item, minimum, maximum, RepeatMode.Greedy), 0, 1, RepeatMode.Greedy);
            else
                item = new Node.Repeat(item, minimum, maximum, mode);
            if (maximum < 0 && ((Node.Repeat)item).Body.MinimumLength == 0)
                throw Wrong("an unlimited repetition of what may be empty is not supported");
        }
        return item;
    }

    /// <summary>The counts of a quantifier; a minimum of −1 when there is none here.</summary>
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
            position = start;   // no counts: the brace stands for itself
            return (-1, -1, false);
        }
        if (maximum >= 0 && maximum < minimum)
            throw Wrong("a repetition's maximum is below its minimum");
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
            : throw Wrong($"repetitions of more than {LargestCount} are not supported");
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
                return new Node.One(new ClassParser(this, flags.IgnoreCase).Parse());
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
                throw Wrong($"the {Current} repeats nothing");
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
        return Take(')') ? node : throw Wrong("a ( has no )");
    }

    private Node.Look Behind(Node body, bool negative)
    {
        Node[] choices = body is Node.Alternation alternation ? [.. alternation.Choices] : [body];
        return Array.TrueForAll(choices, choice => choice.FixedLength >= 0)
            ? new Node.Look(body, Behind: true, negative)
            : throw Wrong("looking behind for a varying length is not supported");
    }

    private Node Named(Flags flags)
    {
        var end = pattern.IndexOf('>', position);
        if (end < 0)
            throw Wrong("the name of a group has no >");
        position = end + 1;
        return Choices(flags);
    }

    /// <summary>The flags of <c>(?i:…)</c>: i ignores case, m lets the dot match line feeds, a minus takes back.</summary>
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
                    throw Wrong($"the group (?{Current} is not supported");
            }
        return Take(':') ? flags : throw Wrong("a ( has no )");
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

    /// <summary>The set of an escape such as <c>\s</c> or <c>\p{L}</c>, after the backslash; null and nothing taken when it is none.</summary>
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
            throw Wrong(@"a \p{ has no }");
        var name = pattern[(position + 2)..end];
        position = end + 1;
        if (name.StartsWith('^'))
            (negative, name) = (!negative, name[1..]);
        var set = CharacterSets.Property(name)
            ?? throw Wrong($@"the property \p{{{name}}} is not supported; supported are the general categories such as L, Lu and N");
        return negative ? CharacterSets.Not(set) : set;
    }

    /// <summary>The character of an escape, after the backslash.</summary>
    internal int CharacterEscape()
    {
        if (AtEnd)
            throw Wrong("it ends in a backslash");
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
                return escaped;   // without braces it is the letter
            case < 128 when char.IsAsciiLetterOrDigit((char)escaped):
                throw Wrong($@"\{(char)escaped} is not supported");
            default:
                return escaped;
        }
    }

    private int Closed(int value) => Take('}') ? value : throw Wrong(@"a \x{ has no }");

    private int Hexadecimal(int minimum, int maximum)
    {
        var (value, digits) = (0L, 0);
        for (; digits < maximum && char.IsAsciiHexDigit(Current); digits++, position++)
            value = value * 16 + Convert.ToInt32(Current.ToString(), 16);
        return digits >= minimum && Rune.IsValid((int)Math.Min(value, int.MaxValue)) ? (int)value : throw Wrong("a character's code is no Unicode character");
    }

    internal int CodePoint()
    {
        if (Rune.DecodeFromUtf16(pattern.AsSpan(position), out var character, out var length) != System.Buffers.OperationStatus.Done)
            throw Wrong("it is no valid Unicode text");
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

    internal bool Ended => AtEnd;

    internal RegularExpressionException Wrong(string what) => new($"{what} (at {position})");

    private readonly record struct Flags(bool IgnoreCase, bool DotAll);
}
