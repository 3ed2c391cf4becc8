using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;

namespace Trainer.Data;

/// <summary>The tokenizer whose tokens are the characters (Unicode code points) of its training text, in code-point order.</summary>
/// <remarks>There is no token for unknown characters: meeting one is an error that names it.</remarks>
public sealed class CharacterTokenizer : Tokenizer
{
    /// <summary>The name that the file gives to the missing unknown token; longer than one character, so that no text collides with it.</summary>
    private const string NoUnknownToken = "<unknown characters are errors>";

    private readonly Rune[] characters;
    private readonly byte[][] bytes;
    private readonly int[] basic;   // id by UTF-16 unit for the Basic Multilingual Plane up to the last character in it; −1 = unknown
    private readonly Dictionary<int, int> supplementary = [];

    /// <summary>Makes the tokenizer of a set of characters.</summary>
    /// <param name="characters">The characters, in any order; repetitions count once.</param>
    /// <exception cref="ArgumentException">There is no character.</exception>
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

    /// <inheritdoc/>
    public override string Type => "character";

    /// <inheritdoc/>
    public override int VocabularySize => characters.Length;

    /// <summary>The characters by token id.</summary>
    public IReadOnlyList<Rune> Characters => characters;

    /// <inheritdoc/>
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

    /// <inheritdoc/>
    public override void Encode(ReadOnlySpan<byte> utf8, IBufferWriter<int> ids) => Encode(Utf16.Decode(utf8), ids);

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> TokenBytes(int id) => Entry(bytes, id);

    /// <summary>Hugging Face's word-level model over single characters, which gives the same tokens there.</summary>
    /// <returns>The content of <c>tokenizer.json</c>.</returns>
    public override JsonObject ToJson()
    {
        var vocabulary = new JsonObject();
        for (var id = 0; id < characters.Length; id++)
            vocabulary[characters[id].ToString()] = id;
        return HuggingFaceTokenizer.Document(
            preTokenizer: HuggingFaceTokenizer.EveryCharacter(),
            decoder: HuggingFaceTokenizer.Fuse(),
            model: HuggingFaceTokenizer.WordLevel(vocabulary, NoUnknownToken));
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
