using System.ComponentModel;

namespace Trainer.Data;

/// <summary>Every byte is a token: 256 tokens, any text in any language, no unknowns.</summary>
[Description("Every byte of UTF-8 is a token: 256 tokens, any text.")]
public sealed record ByteTokenizerOptions : TokenizerOptions
{
    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new ReadyTrainer(ByteTokenizer.Instance);
}
