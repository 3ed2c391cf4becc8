using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text;
using Trainer.Configuration;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Batches;

/// <summary>Which tokens a masked model predicts: the section <c>data.masking</c> (Devlin et al. 2019, arXiv 1810.04805, §3.1 and A.1),
/// with masks drawn anew each epoch (Liu et al. 2019, arXiv 1907.11692, §4.1).</summary>
public sealed record MaskingOptions
{
    /// <summary>The share of tokens to predict: 80 % become the mask token, 10 % a random token, 10 % stay.</summary>
    [Description("The share of tokens to guess; of these 80 % become the mask token, 10 % a random token, and 10 % stay as they are.")]
    [Range(0.001, 0.999)]
    public double Probability { get; init; } = 0.15;

    /// <summary>Whether the tokens of a word are masked together.</summary>
    [Description("Whether the tokens of a word (a run of letters and digits) are chosen all or none.")]
    public bool WholeWord { get; init; }
}

/// <summary>Windows of consecutive tokens, some hidden, which are the targets, framed by special tokens, which are not.</summary>
internal sealed class MaskedRows(TokenShard shard, int contextLength, TokenMasker masker, SpecialTokenTemplate template) : RowSource<Crop>
{
    private int Window => contextLength - template.Length;

    public override RowStream<Crop> Stream(TokenRange range, long seed)
    {
        Require(range);
        return new CropStream(range, Window, after: 0, seed, ShiftsWindows);
    }

    public override IReadOnlyList<Crop> ValidationRows(TokenRange range, long count)
    {
        Require(range);
        return CropRows.Spread(range, Window, after: 0, count);
    }

    public override long Tokens(Crop row) => contextLength;

    public override IReadOnlyList<TokenSpan> Spans(Crop row) => [new(row.Start, Window, template.Before.Count)];

    public override Batch Collate(ReadOnlySpan<Crop> rows)
    {
        var inputs = new long[rows.Length * contextLength];    // (B, T)
        var targets = new long[rows.Length * contextLength];   // (B, T)
        Array.Fill(targets, Batch.Ignored);
        for (var row = 0; row < rows.Length; row++)
        {
            var (first, end) = (row * contextLength + template.Before.Count, (row + 1) * contextLength - template.After.Count);
            var window = inputs.AsSpan(first..end);
            shard.Read(rows[row].Start, window);
            masker.Hide(window, targets.AsSpan(first..end), rows[row].Key);
            for (var i = 0; i < template.Before.Count; i++)
                inputs[row * contextLength + i] = template.Before[i];
            for (var i = 0; i < template.After.Count; i++)
                inputs[end + i] = template.After[i];
        }
        return new Batch(inputs, targets, rows.Length, contextLength);
    }

    private void Require(TokenRange range)
    {
        if (Window < 1)
            throw new UserException($"model.contextLength ({contextLength}) leaves no room between the {template.Length} special tokens "
                + $"that the tokenizer puts around a text; set it to {template.Length + 1} or more");
        ContextCheck.Require(range, contextLength, after: -template.Length);
    }
}

internal sealed class TokenMasker
{
    private readonly MaskingOptions options;
    private readonly int mask;
    private readonly bool[] isSpecial;
    private readonly bool[] startsInWord;
    private readonly bool[] endsInWord;
    private readonly int[] ordinary;

    public TokenMasker(Tokenizer tokenizer, MaskingOptions options)
    {
        this.options = options;
        mask = MaskToken.Require(tokenizer);
        isSpecial = new bool[tokenizer.VocabularySize];
        startsInWord = new bool[isSpecial.Length];
        endsInWord = new bool[isSpecial.Length];
        foreach (var special in tokenizer.SpecialTokens)
            isSpecial[special] = true;
        isSpecial[mask] = true;
        for (var id = 0; id < isSpecial.Length; id++)
        {
            var bytes = tokenizer.TokenBytes(id);
            isSpecial[id] |= bytes.IsEmpty;   // an unassigned id
            (startsInWord[id], endsInWord[id]) = isSpecial[id] ? default : (IsOfWord(bytes, first: true), IsOfWord(bytes, first: false));
        }
        ordinary = [.. Enumerable.Range(0, isSpecial.Length).Where(id => !isSpecial[id])];
    }

    /// <summary>Replaces tokens, which the key determines, and writes the originals to <paramref name="targets"/>.</summary>
    public void Hide(Span<long> inputs, Span<long> targets, ulong key)
    {
        var random = new RandomSequence(key);
        targets.Fill(Batch.Ignored);
        var words = Words(inputs);
        var tokens = words.Sum(word => word.Length);
        if (tokens == 0)
            return;
        // Random rounding: otherwise short rows would never reach the requested share.
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

    /// <summary>Whether a token begins or ends with a letter or digit; partial UTF-8 characters count as letters.</summary>
    private static bool IsOfWord(ReadOnlySpan<byte> bytes, bool first)
    {
        var status = first ? Rune.DecodeFromUtf8(bytes, out var rune, out _) : Rune.DecodeLastFromUtf8(bytes, out rune, out _);
        return status != System.Buffers.OperationStatus.Done || Rune.IsLetterOrDigit(rune)
            || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;
    }
}
