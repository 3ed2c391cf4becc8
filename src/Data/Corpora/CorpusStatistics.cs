using System.Text;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Corpora;

/// <summary>Counts documents while they are read.</summary>
public sealed class CorpusStatistics
{
    /// <summary>Documents with text, including empty ones.</summary>
    public long Documents { get; private set; }

    /// <summary>Records without text.</summary>
    public long Nulls { get; private set; }

    /// <summary>Unicode code points.</summary>
    public long Characters { get; private set; }

    /// <summary>Bytes of UTF-8.</summary>
    public long Bytes { get; private set; }

    /// <summary>Counts pieces as they pass, up to <paramref name="limit"/> documents and records without text.</summary>
    public IEnumerable<TextPiece> Count(IEnumerable<TextPiece> pieces, long limit = long.MaxValue)
    {
        foreach (var piece in pieces)
        {
            if ((piece.StartsDocument || piece.IsNull) && Documents + Nulls == limit)
                yield break;
            Add(piece);
            yield return piece;
        }
    }

    private void Add(in TextPiece piece)
    {
        if (piece.IsNull)
        {
            Nulls++;
            return;
        }
        Documents += piece.StartsDocument ? 1 : 0;
        Characters += CodePoints.Count(piece.Text.Span);
        Bytes += Encoding.UTF8.GetByteCount(piece.Text.Span);
    }
}
