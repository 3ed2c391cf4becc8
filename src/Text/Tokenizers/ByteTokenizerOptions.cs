using System.ComponentModel;

namespace Trainer.Text;

/// <summary>Every byte is a token: 256 tokens, any text in any language, no unknowns.</summary>
[Description("Every byte of UTF-8 is a token: 256 tokens, any text.")]
public sealed record ByteTokenizerOptions : TokenizerOptions
{
    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new Learner();

    /// <summary>Bytes are known beforehand, so nothing is learned.</summary>
    private sealed class Learner : TokenizerTrainer
    {
        public override void Observe(ReadOnlySpan<char> text) { }

        public override Tokenizer Build() => ByteTokenizer.Instance;
    }
}
