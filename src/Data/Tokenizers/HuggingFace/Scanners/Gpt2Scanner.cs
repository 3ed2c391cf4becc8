namespace Trainer.Data.HuggingFace;

/// <summary>GPT-2's split expression, which the ByteLevel pre-tokenizer uses.</summary>
internal sealed class Gpt2Scanner : Scanner
{
    public const string Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    private const byte Letter = CharacterClass.Letter, Number = CharacterClass.Number, Space = CharacterClass.Space;

    public override int End(ReadOnlySpan<char> text, int start)
    {
        if (Contraction.Length(text, start, ignoreCase: false) is var contraction and > 0)
            return start + contraction;
        var first = text[start] == ' ' && start + 1 < text.Length ? start + 1 : start;
        var kind = CharacterClass.At(text, first, out var length);
        if ((kind & Letter) != 0)
            return CharacterClass.Run(text, first + length, Letter);
        if ((kind & Number) != 0)
            return CharacterClass.Run(text, first + length, Number);
        return (kind & Space) == 0
            ? CharacterClass.RunExcept(text, first + length, Space | Letter | Number)
            : CharacterClass.SpaceEnd(text, start);
    }
}
