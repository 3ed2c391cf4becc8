using System.Text;

namespace Trainer.Data;

/// <summary>What reading a corpus found.</summary>
public sealed class CorpusFigures
{
    /// <summary>Documents with text, empty ones included.</summary>
    public long Documents { get; private set; }

    /// <summary>Records without text.</summary>
    public long Nulls { get; private set; }

    /// <summary>Unicode code points.</summary>
    public long Characters { get; private set; }

    /// <summary>Bytes of UTF-8.</summary>
    public long Bytes { get; private set; }

    /// <summary>Counts a piece.</summary>
    /// <param name="piece">The piece, in the order of reading.</param>
    public void Add(in TextPiece piece)
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
