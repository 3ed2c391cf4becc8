using System.Buffers;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers.HuggingFace;

/// <summary>Repeatedly the longest token that begins the rest of the word; if none fits, the whole word is unknown (Wu 2016).</summary>
internal sealed class WordPieceModel(Vocabulary vocabulary, string unknownToken, string prefix, int longestWord) : Model
{
    public static WordPieceModel Of(JsonSection section) => new(
        Vocabulary.Of(section), section.OptionalText("unk_token") ?? "[UNK]", section.OptionalText("continuing_subword_prefix")
            ?? "##", section.Count("max_input_chars_per_word", 100));

    public override string Name => "wordpiece";

    public override IReadOnlyList<string?> Tokens => vocabulary.Tokens;

    public override int Size => vocabulary.Count;

    public override int Id(ReadOnlySpan<char> token) => vocabulary.Id(token);

    public override ModelEncoder CreateEncoder(bool readsBytes) => new Encoder(vocabulary, unknownToken, prefix, longestWord);

    private sealed class Encoder(Vocabulary vocabulary, string unknownToken, string prefix, int longestWord) : ModelEncoder
    {
        private readonly int unknown = vocabulary.Id(unknownToken);
        private readonly int longestToken = vocabulary.Tokens.Max(token => token?.Length) ?? 0;

        private readonly IdBuffer found = new();

        protected override void Tokenize(ReadOnlySpan<char> piece)
        {
            found.Clear();
            if (CodePoints.Count(piece) <= longestWord && TryTokenize(piece))
                Output.Add(found.Written);
            else
                Output.Add(unknown >= 0 ? unknown : throw Unknown(piece, $" ({unknownToken})"));
        }

        private bool TryTokenize(ReadOnlySpan<char> word)
        {
            var buffer = ArrayPool<char>.Shared.Rent(prefix.Length + word.Length);
            try
            {
                prefix.CopyTo(buffer);
                word.CopyTo(buffer.AsSpan(prefix.Length));
                for (var start = 0; start < word.Length;)
                {
                    var rest = start == 0 ? word : buffer.AsSpan(start, prefix.Length + word.Length - start);
                    if (start > 0)
                        prefix.CopyTo(buffer.AsSpan(start));   // overwrites what is already tokenized
                    var (id, length) = Longest(rest, start == 0 ? 1 : prefix.Length + 1);
                    if (id < 0)
                        return false;
                    found.Add(id);
                    start += start == 0 ? length : length - prefix.Length;
                }
                return true;
            }
            finally
            {
                ArrayPool<char>.Shared.Return(buffer);
            }
        }

        private (int Id, int Length) Longest(ReadOnlySpan<char> text, int least)
        {
            for (var length = Math.Min(text.Length, longestToken); length >= least; length--)
                if (vocabulary.Id(text[..length]) is var id and >= 0)
                    return (id, length);
            return (-1, 0);
        }
    }
}
