using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;
using Trainer.Data.Tokenizers.RegularExpressions;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

internal abstract class PreTokenizer
{
    public abstract void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next);

    public PieceSink Before(PieceSink next) => new Stage(this, next);

    public virtual IEnumerable<PreTokenizer> Parts => [this];

    private sealed class Stage(PreTokenizer splitter, PieceSink next) : PieceSink
    {
        public override void Accept(ReadOnlySpan<char> piece, bool atStart) => splitter.Split(piece, atStart, next);
    }
}

internal abstract class PieceSink
{
    /// <summary>Takes a non-empty piece, valid only during the call; <paramref name="atStart"/> where it begins the whole text.</summary>
    public abstract void Accept(ReadOnlySpan<char> piece, bool atStart);
}

/// <summary>Builds pre-tokenizers from their JSON; add new kinds here.</summary>
internal static class PreTokenizerReader
{
    public static PreTokenizer Read(JsonSection section) => section.Text("type") switch
    {
        "Sequence" => new SequencePreTokenizer([.. section.Sections("pretokenizers").Select(Read)]),
        "ByteLevel" => new ByteLevelSplit(section.Flag("add_prefix_space", true), section.Flag("use_regex", true)),
        "Split" => Split(section),
        "Metaspace" => Metaspace(section),
        "BertPreTokenizer" => new SequencePreTokenizer([
            new CharacterSplit(CharacterKind.IsWhiteSpace, SplitBehavior.Removed),
            new CharacterSplit(IsPunctuation, SplitBehavior.Isolated)]),
        "Whitespace" => new WordSplit(),
        "WhitespaceSplit" => new CharacterSplit(CharacterKind.IsWhiteSpace, SplitBehavior.Removed),
        "Digits" => new CharacterSplit(CharacterKind.IsNumeric,
        section.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous),
        "Punctuation" => new CharacterSplit(IsPunctuation, section.Choice("behavior", SplitBehavior.Isolated)),
        "CharDelimiterSplit" => Delimiter(section),
        "FixedLength" => new FixedLengthSplit(section.Count("length", 5, least: 1)),
        var type => throw section.Unsupported($"the pre-tokenizer {type}"),
    };

    /// <summary>ASCII punctuation and symbols, and Unicode punctuation.</summary>
    private static bool IsPunctuation(int codePoint) => codePoint < 128
        ? char.IsPunctuation((char)codePoint) || char.IsSymbol((char)codePoint)
        : UnicodeTables.Instance.Punctuation.Contains(codePoint);

    private static PreTokenizer Split(JsonSection section)
    {
        var behavior = section.Choice("behavior", SplitBehavior.Removed);
        var invert = section.Flag("invert", false);
        var isPieces = (behavior == SplitBehavior.Isolated && !invert) || (behavior == SplitBehavior.Removed && invert);
        var pattern = TextPattern.Of(section);
        return isPieces && pattern.Expression is not null && Scanner.For(pattern.Expression) is { } scanner
            ? new ScannerSplit(scanner)
            : new ExpressionSplit(pattern.Compile(), behavior, invert);
    }

    private static MetaspaceSplit Metaspace(JsonSection section)
    {
        var replacement = section.Character("replacement", "\u2581");
        var scheme = PrependSchemeReader.Read(section);
        return new MetaspaceSplit(replacement, scheme, section.Flag("split", true));
    }

    private static CharacterSplit Delimiter(JsonSection section)
    {
        var delimiter = Rune.GetRuneAt(section.Character("delimiter", null), 0).Value;
        return new CharacterSplit(codePoint => codePoint == delimiter, SplitBehavior.Removed);
    }
}

internal sealed class SequencePreTokenizer(IReadOnlyList<PreTokenizer> parts) : PreTokenizer
{
    public override IEnumerable<PreTokenizer> Parts => parts.SelectMany(part => part.Parts);

    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var first = Parts.Reverse().Aggregate(next, (sink, part) => part.Before(sink));
        if (!text.IsEmpty)
            first.Accept(text, atStart);
    }
}

/// <summary>ByteLevel: a leading space, GPT-2's split expression, and bytes as printable symbols.</summary>
internal sealed class ByteLevelSplit(bool addPrefixSpace, bool useExpression) : PreTokenizer
{
    private static readonly Gpt2Scanner Scanner = new();

    /// <summary>The same without symbols, for a model that reads bytes.</summary>
    public PreTokenizer WithoutSymbols => new Plain(addPrefixSpace, useExpression);

    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next) =>
        WithoutSymbols.Split(text, atStart, new Symbols(next));

    public static string ToSymbols(ReadOnlySpan<char> text)
    {
        var bytes = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text.Length));
        var count = Encoding.UTF8.GetBytes(text, bytes);
        var symbols = string.Create(count, bytes, (output, source) =>
        {
            for (var i = 0; i < output.Length; i++)
                output[i] = ByteLevelAlphabet.Symbol(source[i]);
        });
        ArrayPool<byte>.Shared.Return(bytes);
        return symbols;
    }

    private sealed class Symbols(PieceSink next) : PieceSink
    {
        public override void Accept(ReadOnlySpan<char> piece, bool atStart) => next.Accept(ToSymbols(piece), atStart);
    }

    private sealed class Plain(bool addPrefixSpace, bool useExpression) : PreTokenizer
    {
        public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
        {
            if (addPrefixSpace && text[0] != ' ')
                text = " " + text.ToString();
            if (!useExpression)
            {
                next.Accept(text, atStart);
                return;
            }
            for (var start = 0; start < text.Length;)
            {
                var end = Scanner.End(text, start);
                next.Accept(text[start..end], atStart && start == 0);
                start = end;
            }
        }
    }
}

/// <summary>Metaspace: spaces become a visible character, which is also prepended and begins each piece.</summary>
internal sealed class MetaspaceSplit(string replacement, PrependScheme scheme, bool split) : PreTokenizer
{
    private readonly CharacterSplit? splitter = split
        ? new CharacterSplit(codePoint => codePoint == char.ConvertToUtf32(replacement, 0), SplitBehavior.MergedWithNext)
        : null;

    public bool DependsOnStart => scheme == PrependScheme.First;

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

internal enum PrependScheme
{
    Always, // before every part of the text
    First,  // before the whole text only
    Never,  // nowhere
}

internal static class PrependSchemeReader
{
    public static PrependScheme Read(JsonSection section)
    {
        var adds = section.Flag("add_prefix_space", true);
        if (!section.Has("prepend_scheme"))
            return adds ? PrependScheme.Always : PrependScheme.Never;
        var scheme = section.Choice("prepend_scheme", PrependScheme.Always);
        return adds || scheme == PrependScheme.Never
            ? scheme
            : throw section.Damaged($"add_prefix_space is false, but prepend_scheme is {section.Text("prepend_scheme")}");
    }
}

internal sealed class ScannerSplit(Scanner scanner) : PreTokenizer
{
    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        for (var start = 0; start < text.Length;)
        {
            var end = scanner.End(text, start);
            next.Accept(text[start..end], atStart && start == 0);
            start = end;
        }
    }
}

/// <summary>Splits at the matches of a regular expression, or, inverted, between them.</summary>
internal sealed class ExpressionSplit(RegularExpression expression, SplitBehavior behavior, bool invert) : PreTokenizer
{
    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var segments = new List<Segment>();
        var previous = 0;
        var matches = new Matches(expression, text);
        while (matches.MoveNext())
        {
            if (matches.Start > previous)
                segments.Add(new Segment(previous, matches.Start, invert));
            segments.Add(new Segment(matches.Start, matches.End, !invert));
            previous = matches.End;
        }
        if (previous < text.Length)
            segments.Add(new Segment(previous, text.Length, invert));
        Segments.Emit(segments, behavior, text, atStart, next);
    }
}

internal sealed class CharacterSplit(Func<int, bool> isDelimiter, SplitBehavior behavior) : PreTokenizer
{
    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var segments = new List<Segment>();
        var (previous, position) = (0, 0);
        foreach (var character in text.EnumerateRunes())
        {
            var end = position + character.Utf16SequenceLength;
            if (isDelimiter(character.Value))
            {
                if (position > previous)
                    segments.Add(new Segment(previous, position, false));
                segments.Add(new Segment(position, end, true));
                previous = end;
            }
            position = end;
        }
        if (previous < text.Length)
            segments.Add(new Segment(previous, text.Length, false));
        Segments.Emit(segments, behavior, text, atStart, next);
    }
}

/// <summary>The Whitespace pre-tokenizer, <c>\w+|[^\w\s]+</c>.</summary>
internal sealed class WordSplit : PreTokenizer
{
    private static readonly CodePointSet Word = new(CharacterKind.IsRustWord);

    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        var (start, position, kind) = (0, 0, 0);
        foreach (var character in text.EnumerateRunes())
        {
            var current = Word.Contains(character.Value) ? 1 : CharacterKind.IsWhiteSpace(character.Value) ? 0 : 2;
            if (current != kind)
            {
                if (kind != 0)
                    next.Accept(text[start..position], atStart && start == 0);
                (start, kind) = (position, current);
            }
            position += character.Utf16SequenceLength;
        }
        if (kind != 0)
            next.Accept(text[start..], atStart && start == 0);
    }
}

internal sealed class FixedLengthSplit(int length) : PreTokenizer
{
    public override void Split(ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        for (var start = 0; start < text.Length;)
        {
            var units = CodePoints.Units(text[start..], length);
            next.Accept(text.Slice(start, units), atStart && start == 0);
            start += units;
        }
    }
}

internal enum SplitBehavior
{
    Removed,            // dropped
    Isolated,           // a piece each
    MergedWithPrevious, // ends the piece before it
    MergedWithNext,     // begins the piece after it
    Contiguous,         // adjacent ones form one piece
}

internal readonly record struct Segment(int Start, int End, bool IsDelimiter);

internal static class Segments
{
    public static void Emit(List<Segment> segments, SplitBehavior behavior, ReadOnlySpan<char> text, bool atStart, PieceSink next)
    {
        foreach (var (start, end, isDelimiter) in CollectionsMarshal.AsSpan(Join(segments, behavior)))
            if (end > start && !(isDelimiter && behavior == SplitBehavior.Removed))
                next.Accept(text[start..end], atStart && start == 0);
    }

    private static List<Segment> Join(List<Segment> segments, SplitBehavior behavior) => behavior switch
    {
        SplitBehavior.MergedWithPrevious => Merge(segments, (segment, previous) => segment && !previous),
        SplitBehavior.Contiguous => Merge(segments, (segment, previous) => segment == previous),
        SplitBehavior.MergedWithNext => MergeWithNext(segments),
        _ => segments,
    };

    private static List<Segment> Merge(List<Segment> segments, Func<bool, bool, bool> joins)
    {
        var merged = new List<Segment>(segments.Count);
        var previous = false;
        foreach (var segment in segments)
        {
            if (joins(segment.IsDelimiter, previous) && merged.Count > 0)
                merged[^1] = merged[^1] with { End = segment.End };
            else
                merged.Add(segment);
            previous = segment.IsDelimiter;
        }
        return merged;
    }

    private static List<Segment> MergeWithNext(List<Segment> segments)
    {
        var merged = new List<Segment>(segments.Count);
        var previous = false;
        for (var i = segments.Count - 1; i >= 0; i--)
        {
            if (segments[i].IsDelimiter && !previous && merged.Count > 0)
                merged[^1] = merged[^1] with { Start = segments[i].Start };
            else
                merged.Add(segments[i]);
            previous = segments[i].IsDelimiter;
        }
        merged.Reverse();
        return merged;
    }
}
