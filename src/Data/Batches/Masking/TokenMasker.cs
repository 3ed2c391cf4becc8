using System.Globalization;
using System.Text;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Hides tokens of a row for a model to guess. Special tokens stay and are never drawn.</summary>
internal sealed class TokenMasker
{
    private readonly MaskingOptions options;
    private readonly int mask;
    private readonly bool[] isSpecial;
    private readonly bool[] startsInWord;
    private readonly bool[] endsInWord;
    private readonly int[] ordinary;

    /// <summary>Learns which tokens are special and where words begin.</summary>
    /// <exception cref="UserException">The tokenizer has no mask token.</exception>
    public TokenMasker(Tokenizer tokenizer, MaskingOptions options)
    {
        this.options = options;
        mask = RequireMask(tokenizer);
        isSpecial = new bool[tokenizer.VocabularySize];
        startsInWord = new bool[isSpecial.Length];
        endsInWord = new bool[isSpecial.Length];
        foreach (var special in tokenizer.SpecialTokens)
            isSpecial[special] = true;
        isSpecial[mask] = true;
        for (var id = 0; id < isSpecial.Length; id++)
        {
            var bytes = tokenizer.TokenBytes(id);
            isSpecial[id] |= bytes.IsEmpty;   // an id that the file leaves out
            (startsInWord[id], endsInWord[id]) = isSpecial[id] ? default : (IsOfWord(bytes, first: true), IsOfWord(bytes, first: false));
        }
        ordinary = [.. Enumerable.Range(0, isSpecial.Length).Where(id => !isSpecial[id])];
    }

    /// <summary>Hides tokens.</summary>
    /// <param name="inputs">The tokens; those to guess are replaced.</param>
    /// <param name="targets">Receives what was there, or <see cref="Batch.Ignored"/>.</param>
    /// <param name="key">Chooses which; the same key hides the same.</param>
    public void Hide(Span<long> inputs, Span<long> targets, ulong key)
    {
        var random = new RandomSequence(key);
        targets.Fill(Batch.Ignored);
        var words = Words(inputs);
        var tokens = words.Sum(word => word.Length);
        if (tokens == 0)
            return;
        // The rounding is random too: else a short row would never have the share that was asked for.
        var wanted = Math.Clamp((int)(options.Probability * tokens + random.NextDouble()), 1, tokens);
        var hidden = 0;
        for (var i = 0; i < words.Count && hidden < wanted; i++)
        {
            var choice = i + random.Next(words.Count - i);
            (words[i], words[choice]) = (words[choice], words[i]);
            var (start, length) = words[i];
            if (hidden > 0 && hidden + length > wanted)
                continue;
            hidden += length;
            for (var place = start; place < start + length; place++)
                (targets[place], inputs[place]) = (inputs[place], Replacement(inputs[place], ref random));
        }
    }

    private long Replacement(long token, ref RandomSequence random) => random.NextDouble() switch
    {
        < 0.8 => mask,
        < 0.9 => ordinary[random.Next(ordinary.Length)],
        _ => token,
    };

    /// <summary>What is hidden together: single tokens, or words.</summary>
    private List<(int Start, int Length)> Words(ReadOnlySpan<long> tokens)
    {
        var words = new List<(int Start, int Length)>(tokens.Length);
        for (var i = 0; i < tokens.Length; i++)
            if (isSpecial[tokens[i]])
                continue;
            else if (options.WholeWord && i > 0 && endsInWord[tokens[i - 1]] && startsInWord[tokens[i]])
                words[^1] = (words[^1].Start, words[^1].Length + 1);
            else
                words.Add((i, 1));
        return words;
    }

    /// <summary>Whether a token begins or ends with a letter or digit; bytes that are a part of a character only count as one.</summary>
    private static bool IsOfWord(ReadOnlySpan<byte> bytes, bool first)
    {
        var status = first ? Rune.DecodeFromUtf8(bytes, out var rune, out _) : Rune.DecodeLastFromUtf8(bytes, out rune, out _);
        return status != System.Buffers.OperationStatus.Done || Rune.IsLetterOrDigit(rune)
            || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;
    }

    /// <summary>The token that stands where another is hidden.</summary>
    /// <exception cref="UserException">The tokenizer has none.</exception>
    public static int RequireMask(Tokenizer tokenizer) =>
        MaskToken.Of(tokenizer) ?? throw new UserException(
            $"data.objective is \"masked\", but the tokenizer ({tokenizer.Type}) has no mask token ({string.Join(", ", MaskToken.Names)}); "
            + "add \"[MASK]\" to tokenizer.specialTokens of type \"bpe\", or use type \"file\" with the tokenizer.json of a masked model");
}
