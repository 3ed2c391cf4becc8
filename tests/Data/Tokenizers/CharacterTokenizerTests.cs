using System.Text;
using FsCheck.Fluent;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class CharacterTokenizerTests
{
    internal static Tokenizer Learn(params string[] pieces)
    {
        var trainer = new CharacterTokenizerOptions().CreateTrainer();
        foreach (var piece in pieces)
            trainer.Observe(piece);
        return trainer.Build();
    }

    [Fact]
    public void The_vocabulary_is_the_characters_in_code_point_order()
    {
        var tokenizer = (CharacterTokenizer)Learn("zebra\n", "😀\uFFFDa");
        Assert.Equal(["\n", "a", "b", "e", "r", "z", "\uFFFD", "😀"], tokenizer.Characters.Select(character => character.ToString()));
        Assert.Equal([7, 1, 6], tokenizer.Encode("😀a\uFFFD"));
    }

    [Fact]
    public void Text_of_known_characters_survives() =>
        Prop.ForAll(UnicodeText.Texts, text =>
        {
            if (text.Length == 0)
                return;
            var tokenizer = Learn(text);
            Assert.Equal(text, tokenizer.Decode(tokenizer.Encode(text)));
            Assert.Equal(tokenizer.Encode(text), tokenizer.Encode((ReadOnlySpan<byte>)Encoding.UTF8.GetBytes(text)));
            Assert.Equal(text.EnumerateRunes().Distinct().Count(), tokenizer.VocabularySize);
        }).Holds();

    [Theory]
    [InlineData("abé", "'é' (U+00E9)", 2)]
    [InlineData("a\tb", "U+0009", 1)]
    [InlineData("ab😀", "'😀' (U+1F600)", 2)]
    public void An_unknown_character_is_an_error_with_its_place_and_the_fix(string text, string character, int position)
    {
        var error = Assert.Throws<EncodingException>(() => Learn("ab").Encode(text));
        Assert.Equal(
            $"the character {character} is not among the 2 characters of the training text; "
            + $"remove or replace it, add a text that has it to data.train, or use the byte tokenizer (at position {position})",
            error.Message);
    }

    [Fact]
    public void A_lone_surrogate_is_an_error_when_learning_and_when_encoding()
    {
        // no attributes: these are written in UTF-8
        foreach (var (text, position) in new[] { ("a\ud800", 1), ("\udc00a", 0), ("😀\ud83da", 2) })
        {
            Assert.Equal(position, Assert.Throws<EncodingException>(() => Learn(text)).Position);
            Assert.Equal(position, Assert.Throws<EncodingException>(() => Learn("a😀").Encode(text)).Position);
        }
    }

    [Fact]
    public void Bytes_that_are_not_utf8_are_an_error_with_their_place() =>
        Assert.Equal(1, Assert.Throws<EncodingException>(() => Learn("a").Encode([(byte)'a', 0xFF])).Position);
}
