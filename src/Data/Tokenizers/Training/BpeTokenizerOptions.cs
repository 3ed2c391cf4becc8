using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Byte-level byte-pair encoding learned from the training text: frequent runs of bytes are tokens, and any text can be expressed.</summary>
/// <remarks>Memory stays bounded whatever the length of the text: only distinct words are held, at most about two million
/// (the rarest are forgotten beyond it), and words of more than 1,024 bytes are not learned from.</remarks>
[Description("Byte-level byte-pair encoding (GPT-2's kind) learned from the training text: any text, no unknowns.")]
public sealed record BpeTokenizerOptions : TokenizerOptions, IValidated
{
    private const int Bytes = 256;

    /// <summary>The most tokens: special tokens, the 256 bytes, and merges.</summary>
    [Description("The most tokens: special tokens + 256 bytes + merges. A short text may have fewer.")]
    [Range(257, 1_000_000)]
    public int VocabularySize { get; init; } = 4096;

    /// <summary>Tokens with a meaning of their own, such as <c>&lt;|endoftext|&gt;</c>; they take the first ids.</summary>
    /// <remarks>With <c>[CLS]</c> and <c>[SEP]</c> texts are put between them where special tokens are asked for, as for BERT.</remarks>
    [Description("Tokens with a meaning of their own, such as <|endoftext|>; they take the first ids and are never split. [CLS] and [SEP] are put around masked rows; </s> or <|endoftext|> ends documents; <s> begins what a decoder beside an encoder writes.")]
    public IReadOnlyList<string> SpecialTokens { get; init; } = [];

    /// <summary>Pairs of tokens seen less often are not merged.</summary>
    [Description("Pairs of tokens seen less often than this in the training text are not merged.")]
    [Range(1, int.MaxValue)]
    public int MinimumFrequency { get; init; } = 2;

    /// <summary>How text is cut into words; no token crosses such a cut.</summary>
    [Description("How text is cut into words, which no token crosses: gpt2 = GPT-2's expression; cl100k = that of GPT-3.5 and 4 (numbers in threes, line breaks apart).")]
    public SplitPattern Pattern { get; init; } = SplitPattern.Gpt2;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (VocabularySize <= Bytes + SpecialTokens.Count)
            yield return new Problem("vocabularySize", $"is {VocabularySize}, but {SpecialTokens.Count} special tokens and {Bytes} bytes leave no merge to learn; make it at least {Bytes + SpecialTokens.Count + 1}");
        for (var i = 0; i < SpecialTokens.Count; i++)
            if (SpecialTokens[i] is not { Length: >= 2 })
                yield return new Problem($"specialTokens.{i}", $"is \"{SpecialTokens[i]}\"; a special token needs two characters or more, such as <|endoftext|>");
            else if (SpecialTokens.Take(i).Contains(SpecialTokens[i]))
                yield return new Problem($"specialTokens.{i}", $"\"{SpecialTokens[i]}\" is listed twice; name each special token once");
    }

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new BpeTrainer(this);
}
