namespace Trainer.Data.HuggingFace;

/// <summary>Metaspace: spaces become a visible character, which is put in front too and begins each piece.</summary>
internal sealed class MetaspaceSplit(string replacement, PrependScheme scheme, bool split) : PreTokenizer
{
    private readonly CharacterSplit? splitter = split
        ? new CharacterSplit(codePoint => codePoint == char.ConvertToUtf32(replacement, 0), SplitBehavior.MergedWithNext)
        : null;

    /// <summary>Whether it matters which piece begins where the text begins.</summary>
    public bool MindsStart => scheme == PrependScheme.First;

    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var replaced = text.ToString().Replace(" ", replacement);
        var prepends = scheme == PrependScheme.Always || (scheme == PrependScheme.First && atStart);
        if (prepends && !replaced.StartsWith(replacement, StringComparison.Ordinal))
            replaced = replacement + replaced;
        if (splitter is null)
            next.Accept(replaced, atStart);
        else
            splitter.Split(replaced, atStart, next);
    }
}

/// <summary>Where Metaspace puts its character in front.</summary>
internal enum PrependScheme
{
    /// <summary>In front of every part of the text.</summary>
    Always,

    /// <summary>In front of the whole text only.</summary>
    First,

    /// <summary>Nowhere.</summary>
    Never,
}
