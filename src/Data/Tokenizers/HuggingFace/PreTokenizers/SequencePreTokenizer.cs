namespace Trainer.Data.HuggingFace;

/// <summary>Several pre-tokenizers, each given the pieces of the one before.</summary>
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
