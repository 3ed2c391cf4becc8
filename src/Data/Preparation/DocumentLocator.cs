using System.Text;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Preparation;

/// <summary>Where tokens of the training data come from. The shards do not say: the sources are read again, in the order they were prepared
/// in, and documents are counted. That takes as long as reading the texts up to there.</summary>
public sealed class DocumentLocator(PreparedData data, DataOptions options, TokenizerOptions? tokenizer, string directory)
{
    private const int LongestText = 80;
    private const int TokensAtOnce = 1 << 16;

    /// <summary>The places of spans of <see cref="PreparedData.Train"/>, in their order.</summary>
    /// <exception cref="UserException">A source changed since it was prepared, or cannot be read.</exception>
    public IReadOnlyList<TokenPlace> Locate(IReadOnlyList<DocumentSpan> spans)
    {
        if (data.Sources.FirstOrDefault(stamp => !stamp.IsUntouched()) is { } changed)
            throw new UserException(
                $"{changed.Path} changed since it was prepared, so that its documents are no longer those of the training data");
        var documents = Find(spans.Select(span => span.Document).ToHashSet());
        return [.. spans.Select(span => Place(span, documents[span.Document]))];
    }

    private Dictionary<long, TextPiece> Find(HashSet<long> wanted)
    {
        var found = new Dictionary<long, TextPiece>();
        var document = -1L;
        foreach (var next in PreparationPlan.Open(options, tokenizer!, directory, null).Train.SelectMany(Pieces))
        {
            if (found.Count == wanted.Count)
                break;
            if (next is not { } piece)
                document++;
            else if (piece.StartsDocument && piece.Text.Length > 0 && wanted.Contains(++document))
                found[document] = piece with { Text = default };   // the text is valid until the next piece
        }
        return found.Count == wanted.Count ? found
            : throw new UserException($"the sources of {data.Directory} have {document + 1} documents now, fewer than were prepared");
    }

    /// <summary>Null for an answer that a record does not have: it is an empty document.</summary>
    private static IEnumerable<TextPiece?> Pieces(Corpus corpus) => corpus is ConversationCorpus conversations
        ? conversations.Records().SelectMany(record => record).Select(conversation => conversation?.Piece)
        : corpus.Read().Select(piece => (TextPiece?)piece);

    private TokenPlace Place(DocumentSpan span, TextPiece start)
    {
        var (bytes, lines) = Before(data.Train.DocumentStart(span.Document), span.Tokens.Start);
        return new TokenPlace(
            span.Document, start.Source, start.Record?.Unit ?? "line", start.Record is null ? start.Line + lines : start.Line,
            start.Record?.Field, bytes, Text(span.Tokens));
    }

    /// <summary>Bytes and line breaks of the text that a document's tokens up to another one stand for.</summary>
    private (long Bytes, long Lines) Before(long start, long end)
    {
        var (bytes, lines) = (0L, 0L);
        foreach (var id in Tokens(start, end))
        {
            var text = data.Tokenizer.TokenBytes(id);
            (bytes, lines) = (bytes + text.Length, lines + text.Count((byte)'\n'));
        }
        return (bytes, lines);
    }

    private IEnumerable<int> Tokens(long start, long end)
    {
        for (; start < end; start += TokensAtOnce)
        {
            var tokens = new long[Math.Min(TokensAtOnce, end - start)];
            data.Train.Read(start, tokens);
            foreach (var token in tokens)
                yield return (int)token;
        }
    }

    private string Text(TokenSpan span)
    {
        // A character takes at least a byte, and a token may be a part of one.
        var ids = Tokens(span.Start, span.Start + Math.Min(span.Length, 4 * LongestText)).ToArray();
        var text = new StringBuilder();
        foreach (var rune in data.Tokenizer.Decode(ids).EnumerateRunes().Take(LongestText))
            text.Append(rune);
        return text.ToString();
    }
}

/// <summary>Where tokens come from.</summary>
/// <param name="Document">Their document, from 0 in the training data.</param>
/// <param name="Source">The file, or the name of a source that is none.</param>
/// <param name="Unit">What <paramref name="Number"/> counts: <c>line</c>, <c>row</c> or <c>example</c>.</param>
/// <param name="Number">From 1: the record that is the document, or the line of a text in which the tokens begin.</param>
/// <param name="Field">The record's field or column; null in a text.</param>
/// <param name="Offset">Bytes of the document's text before the tokens; with a tokenizer that normalizes, of the normalized text.</param>
/// <param name="Text">The first characters of the tokens.</param>
public sealed record TokenPlace(long Document, string Source, string Unit, long Number, string? Field, long Offset, string Text)
{
    /// <summary>Such as <c>books.jsonl, line 17</c>.</summary>
    public override string ToString() => $"{Source}, {Unit} {Number}";
}
