namespace Trainer.Data.HuggingFace;

/// <summary>The Whitespace pre-tokenizer: runs of word characters and runs of others that are not white space, <c>\w+|[^\w\s]+</c>.</summary>
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
