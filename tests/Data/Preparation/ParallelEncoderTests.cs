using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Corpora;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Data.Tests.Tokenizers;
using Trainer.Data.Tokenizers;
using Trainer.Data.Tokenizers.Unicode;

namespace Trainer.Data.Tests.Preparation;

public sealed class ParallelEncoderTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Documents_and_tokens_keep_their_order_whatever_the_threads_chunks_and_pieces() =>
        Prop.ForAll(UnicodeText.Texts.Generator.ListOf().ToArbitrary(), Gen.Choose(1, 4).ToArbitrary(), Gen.Choose(4, 40).ToArbitrary(),
            (texts, threads, capacity) =>
        {
            string[] documents = [.. texts.Where(text => text.Length > 0)];
            var kept = documents.Sum(text => CodePoints.Count(text)) * 2 / 3;
            Encode(documents.SelectMany(text => Pieces(text, capacity + 3)), threads, capacity, kept);
            using var train = TokenShard.Open(folder["train"], "train");
            using var validation = TokenShard.Open(folder["validation"], "validation");
            var whole = string.Concat(documents);
            var units = CodePoints.Units(whole, kept);
            Assert.Equal(ByteTokenizer.Instance.Encode(whole[..units]), Read(train));
            Assert.Equal(ByteTokenizer.Instance.Encode(whole[units..]), Read(validation));
            var starts = documents.Select((_, i) => (long)System.Text.Encoding.UTF8.GetByteCount(string.Concat(documents[..i]))).ToArray();
            Assert.Equal(starts.Where(start => start < train.Length), Starts(train));
            Assert.Equal(starts.Where(start => start > train.Length).Select(start => start - train.Length).Prepend(0)
                .Take(validation.Length == 0 ? 0 : int.MaxValue), Starts(validation).Distinct());
        }).Holds(cases: 200);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(8)]
    [InlineData(64)]
    public void The_first_error_in_the_text_is_the_one_reported(int threads)
    {
        static IEnumerable<TextPiece> Pieces()
        {
            for (var line = 1; line <= 20; line++)
                yield return new TextPiece($"ab{(line is 7 or 11 ? "x" : "")}a\n".AsMemory(), true, "a.txt", line);
            throw new UserException("the end is damaged");
        }
        var error = Assert.Throws<UserException>(
            () => Encode(Pieces(), threads, 8, long.MaxValue, CharacterTokenizerTests.Learn("ab\n")));
        Assert.StartsWith("a.txt, line 7, column 3: the character 'x'", error.Message);
    }

    [Fact]
    public void Lines_are_counted_across_chunks()
    {
        var text = string.Concat(Enumerable.Repeat("ab\nb\n\n", 50)) + "bbx";
        Assert.StartsWith(
            "a.txt, line 151, column 3: the character 'x'",
            Assert.Throws<UserException>(() => Encode([new TextPiece(text.AsMemory(), true, "a.txt", 1)], 2, 20, long.MaxValue,
                CharacterTokenizerTests.Learn("ab\n"))).Message);
    }

    private void Encode(IEnumerable<TextPiece> pieces, int threads, int capacity, long kept, Tokenizer? tokenizer = null)
    {
        using var train = new SplitWriter(folder["train"], 256);
        using var validation = new SplitWriter(folder["validation"], 256);
        new ParallelEncoder(tokenizer ?? ByteTokenizer.Instance, threads, capacity).Encode(pieces, train, kept, validation, () => { });
        train.Finish(new string('0', 64));
        validation.Finish(new string('0', 64));
    }

    private static IEnumerable<TextPiece> Pieces(string document, int length)
    {
        for (var start = 0; start < document.Length;)
        {
            var end = Math.Min(document.Length, start + length);
            end -= end < document.Length && char.IsLowSurrogate(document[end]) ? 1 : 0;
            yield return new TextPiece(document.AsMemory(start, end - start), start == 0, "a.txt", 1);
            start = end;
        }
    }

    private static int[] Read(TokenShard shard)
    {
        var tokens = new long[shard.Length];
        shard.Read(0, tokens);
        return Array.ConvertAll(tokens, id => (int)id);
    }

    private static IEnumerable<long> Starts(TokenShard shard) =>
        Enumerable.Range(0, (int)shard.DocumentCount).Select(document => shard.DocumentStart(document));
}
