using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The most frequent words of the training text are tokens; all others are one unknown token.</summary>
/// <remarks>Text does not survive: white space, line breaks included, is lost, and so is every unknown word. For text that must
/// come back as it was, use <see cref="BpeTokenizerOptions"/>.</remarks>
[Description("The most frequent words of the training text are tokens, all others the unknown token. White space is lost: text does not come back as it was.")]
public sealed record WordTokenizerOptions : TokenizerOptions, IValidated
{
    /// <summary>The most tokens, the unknown token included.</summary>
    [Description("The most tokens, the unknown token included. A short text may have fewer.")]
    [Range(2, 10_000_000)]
    public int VocabularySize { get; init; } = 16384;

    /// <summary>How the unknown token, whose id is 0, is written.</summary>
    [Description("How the unknown token is written; its id is 0.")]
    public string UnknownToken { get; init; } = "<unk>";

    /// <summary>Whether upper and lower case are the same.</summary>
    [Description("Whether all text is made lower case first.")]
    public bool Lowercase { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (string.IsNullOrEmpty(UnknownToken))
            yield return new Problem("unknownToken", "is empty; name it, for example, <unk>");
    }

    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new WordTrainer(this);
}
