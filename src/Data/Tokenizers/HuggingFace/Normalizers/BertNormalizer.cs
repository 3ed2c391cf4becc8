using System.Text;

namespace Trainer.Data.HuggingFace;

/// <summary>BERT's cleaning: control characters away, spaces around Chinese characters, accents away, lower case; each as wanted.</summary>
internal sealed class BertNormalizer(bool cleanText, bool handleChineseCharacters, bool stripAccents, bool lowercase) : Normalizer
{
    public override string Apply(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        foreach (var character in text.EnumerateRunes())
            AppendCleaned(result, character);
        if (stripAccents)
            result = Filter(CanonicalForm.Of(result.ToString(), compatible: false, composed: false));
        if (!lowercase)
            return result.ToString();
        var lower = new StringBuilder(result.Length);
        foreach (var character in result.ToString().EnumerateRunes())
            CharacterKind.AppendLower(lower, character);
        return lower.ToString();
    }

    private void AppendCleaned(StringBuilder result, Rune character)
    {
        var value = character.Value;
        if (cleanText && (value is 0 or 0xFFFD || CharacterKind.IsBertControl(value)))
            return;
        if (cleanText && CharacterKind.IsWhiteSpace(value))
            result.Append(' ');
        else if (handleChineseCharacters && CharacterKind.IsChinese(value))
            result.Append(' ').Append(character).Append(' ');
        else
            result.Append(character);
    }

    private static StringBuilder Filter(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var character in text.EnumerateRunes())
            if (character.Value < 0x300 || !UnicodeTables.Instance.NonspacingMarks.Contains(character.Value))
                result.Append(character);
        return result;
    }
}
