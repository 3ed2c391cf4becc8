using System.Buffers;
using System.Collections;
using System.ComponentModel;
using System.Text;
using System.Text.Json.Nodes;
using Trainer.Data.Tokenizers.HuggingFace;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tokenizers;

/// <summary>Every character (code point) of the training text is a token.</summary>
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

/// <summary>Tokens are the code points of the training text, in order. An unknown one is an error that names it.</summary>
internal sealed class CharacterTokenizer : Tokenizer
{
    /// <summary>Stands for the missing unknown token in the file; longer than one character, so no text matches it.</summary>
    private const string NoUnknownToken = "<unknown characters are errors>";

    private readonly Rune[] characters;
    private readonly byte[][] bytes;
    private readonly int[] basic;   // ids of the Basic Multilingual Plane, up to the last known character; −1 = unknown
    private readonly Dictionary<int, int> supplementary = [];

    public CharacterTokenizer(IEnumerable<Rune> characters)
    {
        this.characters = [.. characters.Distinct().Order()];
        if (this.characters.Length == 0)
            throw new ArgumentException("a character vocabulary needs at least one character", nameof(characters));
        bytes = [.. this.characters.Select(character => Encoding.UTF8.GetBytes(character.ToString()))];
        basic = new int[this.characters.Where(character => character.IsBmp).Select(character => character.Value + 1).LastOrDefault()];
        Array.Fill(basic, -1);
        for (var id = 0; id < this.characters.Length; id++)
            if (this.characters[id].IsBmp)
                basic[this.characters[id].Value] = id;
            else
                supplementary[this.characters[id].Value] = id;
    }

    public override string Type => "character";

    public override int VocabularySize => characters.Length;

    public IReadOnlyList<Rune> Characters => characters;

    public override void Encode(ReadOnlySpan<char> text, IBufferWriter<int> ids)
    {
        if (text.IsEmpty)
            return;
        var output = ids.GetSpan(text.Length);
        var count = 0;
        for (var position = 0; position < text.Length; position++)
        {
            int unit = text[position];
            var id = unit < basic.Length ? basic[unit] : -1;
            if (id < 0)
                id = EncodeRare(text, ref position);
            output[count++] = id;
        }
        ids.Advance(count);
    }

    public override void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids) => Encode(Utf16.Decode(utf8), ids);

    public override ReadOnlySpan<byte> TokenBytes(int id) => Entry(bytes, id);

    public override JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < characters.Length; id++)
            vocabulary[characters[id].ToString()] = id;
        return TokenizerJson.Document(
            preTokenizer: TokenizerJson.EveryCharacter(),
            decoder: TokenizerJson.Fuse(),
            model: TokenizerJson.WordLevel(vocabulary, NoUnknownToken));
    }

    /// <summary>The token of a character outside the table: a surrogate pair, or else an error.</summary>
    private int EncodeRare(ReadOnlySpan<char> text, ref int position)
    {
        if (Rune.DecodeFromUtf16(text[position..], out var character, out var length) != OperationStatus.Done)
            throw EncodingException.LoneSurrogate(text[position], position);
        if (!supplementary.TryGetValue(character.Value, out var id))
            throw new EncodingException(
                $"the character {Describe(character)} is not among the {characters.Length} characters of the training text; "
                + "remove or replace it, add a text that has it to data.train, or use the byte tokenizer", position);
        position += length - 1;
        return id;
    }

    private static string Describe(Rune character) =>
        Rune.IsControl(character) || Rune.IsWhiteSpace(character) ? $"U+{character.Value:X4}" : $"'{character}' (U+{character.Value:X4})";
}
