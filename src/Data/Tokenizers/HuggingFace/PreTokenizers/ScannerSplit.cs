namespace Trainer.Data.HuggingFace;

/// <summary>Split by a well-known expression whose matches are the pieces.</summary>
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
