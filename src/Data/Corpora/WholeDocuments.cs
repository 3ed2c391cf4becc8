using System.Text;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Puts documents together of their pieces.</summary>
public static class WholeDocuments
{
    /// <summary>Puts documents together; null where a record has no text.</summary>
    /// <param name="pieces">Their pieces.</param>
    /// <param name="most">The most characters that one may have.</param>
    /// <exception cref="UserException">A document is longer.</exception>
    public static IEnumerable<string?> Of(IEnumerable<TextPiece> pieces, int most)
    {
        StringBuilder? document = null;
        foreach (var piece in pieces)
        {
            if (document is not null && (piece.StartsDocument || piece.IsNull))
            {
                yield return document.ToString();
                document = null;
            }
            if (piece.IsNull)
            {
                yield return null;
                continue;
            }
            document ??= new StringBuilder();
            if (document.Length + piece.Text.Length > most)
                throw new UserException($"{piece.Place(0)}: the document has more than {most:N0} characters, too many for one value; split it, or take a part of it");
            document.Append(piece.Text.Span);
        }
        if (document is not null)
            yield return document.ToString();
    }
}
