namespace Trainer.Data.HuggingFace;

/// <summary>Parses a bracketed set, after its opening bracket: ranges, escapes, sets within sets; no POSIX names, no intersections.</summary>
internal sealed class ClassParser(Parser parser, bool ignoreCase, int depth = 0)
{
    private readonly List<Func<int, bool>> members = [];

    public CodePointSet Parse()
    {
        if (depth > 20)
            throw parser.Wrong("sets are nested too deeply");
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
        if (parser.Ended)
            throw parser.Wrong("a [ has no ]");
        if (parser.Sees("[:") || parser.Sees("&&"))
            throw parser.Wrong("POSIX names and intersections in sets are not supported");
        if (first && parser.Sees("]"))
            throw parser.Wrong(@"a set that begins with ] is not supported; write \]");
        if (parser.Take('['))
            members.Add(new ClassParser(parser, ignoreCase, depth + 1).Parse().Contains);
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
            if (parser.Sees("[") || parser.Ended)
                throw parser.Wrong("a range in a set has no end");
            last = parser.Take('\\') ? parser.CharacterEscape() : parser.CodePoint();
        }
        if (last < first)
            throw parser.Wrong("a range in a set ends before it begins");
        members.Add(codePoint => codePoint >= first && codePoint <= last);
    }
}
