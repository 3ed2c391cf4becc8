using System.Buffers;
using System.Collections;
using System.ComponentModel;
using System.Text;

namespace Trainer.Data;

/// <summary>Every character (Unicode code point) of the training text is a token.</summary>
[Description("Every character of the training text is a token; other characters are errors.")]
public sealed record CharacterTokenizerOptions : TokenizerOptions
{
    /// <inheritdoc/>
    public override TokenizerTrainer CreateTrainer() => new Learner();

    private sealed class Learner : TokenizerTrainer
    {
        private readonly BitArray seen = new(0x110000);

        public override void Observe(ReadOnlySpan<char> text)
        {
            for (var position = 0; position < text.Length;)
            {
                if (Rune.DecodeFromUtf16(text[position..], out var character, out var length) != OperationStatus.Done)
                    throw EncodingException.LoneSurrogate(text[position], position);
                seen[character.Value] = true;
                position += length;
            }
        }

        public override Tokenizer Build() => new CharacterTokenizer(
            Enumerable.Range(0, seen.Length).Where(value => seen[value]).Select(value => new Rune(value)));
    }
}
