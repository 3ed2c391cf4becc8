namespace Trainer.Data.HuggingFace;

/// <summary>Pieces of a fixed number of characters; the last may be shorter.</summary>
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
