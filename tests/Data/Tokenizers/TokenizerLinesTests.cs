using System.Text;
using System.Text.Json;
using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Tokenizers;

public sealed class TokenizerLinesTests
{
    private static readonly Tokenizer Bytes = ByteTokenizer.Instance;

    [Fact]
    public void Any_text_comes_back() =>
        Prop.ForAll(UnicodeText.Texts.Generator.ListOf().ToArbitrary(), texts =>
        {
            var lines = string.Concat(texts.Select(text => JsonSerializer.Serialize(text) + "\n"));
            var ids = Run(TokenizerLines.Encode, lines);
            Assert.Equal(texts.Select(text => JsonSerializer.Serialize(Bytes.Encode(text))), Lines(ids));
            Assert.Equal(texts, Lines(Run(TokenizerLines.Decode, ids)).Select(line => JsonSerializer.Deserialize<string>(line)));
        }).Holds();

    [Fact]
    public void Lines_may_be_long_end_in_carriage_returns_and_miss_the_last_line_break()
    {
        var text = new string('x', 300_000);
        Assert.Equal(["[97]", $"[{string.Join(',', Bytes.Encode(text))}]", "[]"],
            Lines(Run(TokenizerLines.Encode, $"\"a\"\r\n\"{text}\"\r\n \"\" ")));
        Assert.Equal("", Run(TokenizerLines.Encode, ""));
    }

    [Theory]
    [InlineData("\"a\"\nb\n", "line 2 is b, not a JSON string such as \"some text\"")]
    [InlineData("\n", "line 1 is empty, not a JSON string such as \"some text\"")]
    [InlineData("null", "line 1 is null, not a JSON string such as \"some text\"")]
    [InlineData("\"a\" \"b\"", "line 1 is \"a\" \"b\", not a JSON string such as \"some text\"")]
    [InlineData("\"\\ud800\"", "line 1 is \"\\ud800\", not a JSON string such as \"some text\"")]
    [InlineData("\"a", "line 1 is \"a, not a JSON string such as \"some text\"")]
    public void What_is_no_string_is_an_error_with_its_line(string input, string message) =>
        Assert.Equal(message, Assert.Throws<UserException>(() => Run(TokenizerLines.Encode, input)).Message);

    [Theory]
    [InlineData("[1]\n\"a\"", "line 2 is \"a\", not a JSON array of token ids such as [1, 2, 3]")]
    [InlineData("[1.5]", "line 1 is [1.5], not a JSON array of token ids such as [1, 2, 3]")]
    [InlineData("[1][2]", "line 1 is [1][2], not a JSON array of token ids such as [1, 2, 3]")]
    [InlineData("[1,[2]]", "line 1 is [1,[2]], not a JSON array of token ids such as [1, 2, 3]")]
    [InlineData("[1,256]", "line 1: 256 is no token id of this tokenizer; its ids are 0 to 255 (at index 1)")]
    [InlineData("[-1]", "line 1: -1 is no token id of this tokenizer; its ids are 0 to 255 (at index 0)")]
    [InlineData("[1", "line 1 is [1, not a JSON array of token ids such as [1, 2, 3]")]
    public void What_is_no_array_of_ids_is_an_error_with_its_line(string input, string message) =>
        Assert.Equal(message, Assert.Throws<UserException>(() => Run(TokenizerLines.Decode, input)).Message);

    [Fact]
    public void The_lines_before_an_error_are_answered()
    {
        var output = new MemoryStream();
        Assert.Throws<UserException>(() => TokenizerLines.Encode(Bytes, new MemoryStream("\"a\"\n\"b\"\n?"u8.ToArray()), output));
        Assert.Equal("[97]\n[98]\n", Encoding.UTF8.GetString(output.ToArray()));
    }

    [Fact]
    public void What_was_read_is_answered_before_more_is_waited_for()
    {
        var output = new MemoryStream();
        var input = new Conversation(["\"a\"\n", "\"b\"\n\"c", "\"\n"], () => output.Length);
        TokenizerLines.Encode(Bytes, input, output);
        Assert.Equal([0L, 5, 10, 15], input.AnsweredBeforeEachRead);
    }

    private static string Run(Action<Tokenizer, Stream, Stream> answer, string input)
    {
        var output = new MemoryStream();
        answer(Bytes, new MemoryStream(Encoding.UTF8.GetBytes(input)), output);
        return Encoding.UTF8.GetString(output.ToArray());
    }

    private static IEnumerable<string> Lines(string text) => text.Split('\n')[..^1];

    /// <summary>Input that arrives in parts and records what was answered before each.</summary>
    private sealed class Conversation(IEnumerable<string> parts, Func<long> answered) : MemoryStream
    {
        private readonly Queue<string> parts = new(parts);

        public List<long> AnsweredBeforeEachRead { get; } = [];

        public override int Read(Span<byte> buffer)
        {
            AnsweredBeforeEachRead.Add(answered());
            return parts.TryDequeue(out var part) ? Encoding.UTF8.GetBytes(part, buffer) : 0;
        }
    }
}
