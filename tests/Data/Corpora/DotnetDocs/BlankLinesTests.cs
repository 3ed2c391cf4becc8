using FsCheck.Fluent;

namespace Trainer.Data.Tests;

public sealed class BlankLinesTests
{
    [Fact]
    public void Documents_end_with_a_blank_line_wherever_the_pieces_are_cut() =>
        Prop.ForAll((
            from documents in (from lines in Gen.Choose(1, 5).NonEmptyListOf() select string.Concat(lines.Select(length => new string('x', length) + "\n")) + "\n").NonEmptyListOf()
            from open in Gen.Elements("", "an end\nwithout a blank line")
            from size in Gen.Choose(1, 12)
            select (documents: documents.Append(open).Where(text => text.Length > 0).ToArray(), size)).ToArbitrary(), choice =>
        {
            var (found, lines) = (new List<string>(), 1L);
            foreach (var piece in BlankLines.Documents(Pieces(string.Concat(choice.documents), choice.size)))
            {
                if (piece.StartsDocument)
                    found.Add("");
                found[^1] += piece.Text;
                Assert.Equal(lines, piece.Line);
                lines += piece.Text.Span.Count('\n');
            }
            Assert.Equal(choice.documents, found);
        }).Holds();

    private static IEnumerable<TextPiece> Pieces(string text, int size)
    {
        var line = 1L;
        for (var start = 0; start < text.Length; start += size)
        {
            var part = text.AsMemory(start, Math.Min(size, text.Length - start));
            yield return new TextPiece(part, start == 0, "a.txt", line);
            line += part.Span.Count('\n');
        }
    }
}
