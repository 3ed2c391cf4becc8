using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Corpora;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Preparation;

/// <summary>End tokens of documents, through to training rows.</summary>
public sealed class EndOfDocumentTests : IDisposable
{
    private const int End = 1;
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Each_document_ends_once_whatever_the_chunks_and_the_split() =>
        Prop.ForAll((
            from lengths in Gen.Choose(1, 40).NonEmptyListOf()
            from capacity in Gen.Choose(4, 60)
            from kept in Gen.Choose(0, 300)
            from threads in Gen.Choose(1, 3)
            select (lengths, capacity, kept, threads)).ToArbitrary(), choice =>
        {
            string[] documents = [.. choice.lengths.Select((length, i) => new string((char)('a' + i % 26), length))];
            using (var kept = new SplitWriter(folder["kept"], 256, End))
            using (var held = new SplitWriter(folder["held"], 256, End))
            {
                new ParallelEncoder(ByteTokenizer.Instance, choice.threads, choice.capacity)
                    .Encode(documents.Select(text => new TextPiece(text.AsMemory(), true, "a.txt", 1)), kept, choice.kept, held, () => { });
                Assert.Equal(choice.lengths.Sum(), kept.Statistics.Bytes + held.Statistics.Bytes);
                Assert.Equal(choice.lengths.Sum() + documents.Length, kept.Statistics.Tokens + held.Statistics.Tokens);
                kept.Finish(new string('0', 64));
                held.Finish(new string('0', 64));
            }
            var (first, second) = (Text("kept"), Text("held"));
            Assert.Equal(string.Concat(documents.Select(text => text + "\u0001")), first + second);
            // A document that both share ends in the second alone, so the first ends in its middle.
            Assert.Equal(Math.Min(choice.kept, choice.lengths.Sum()), first.Count(c => c != '\u0001'));
            Assert.False(second.StartsWith('\u0001'));
        }).Holds(cases: 60);

    [Theory]
    [InlineData(null, new[] { "</s>", "<|endoftext|>" }, "one</s>two</s>")]
    [InlineData("<|endoftext|>", new[] { "</s>", "<|endoftext|>" }, "one<|endoftext|>two<|endoftext|>")]
    [InlineData("none", new[] { "</s>", "<|endoftext|>" }, "onetwo")]
    [InlineData(null, new[] { "[MASK]" }, "onetwo")]
    public void The_tokenizers_own_token_a_named_one_or_none_ends_documents(string? named, string[] special, string expected)
    {
        using var data = Prepare(new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = special }, named);
        var tokens = new long[data.Train.Length];
        data.Train.Read(0, tokens);
        Assert.Equal(expected, data.Tokenizer.Decode([.. tokens.Select(id => (int)id)]));
        Assert.Equal(2, data.Train.DocumentCount);
    }

    [Fact]
    public void Other_ends_are_other_data()
    {
        var tokenizer = new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["</s>", "<|endoftext|>"] };
        var fingerprints = new[] { null, "<|endoftext|>", "none" }.Select(named =>
        {
            using var data = Prepare(tokenizer, named);
            return (data.Fingerprint, data.Directory);
        }).ToArray();
        Assert.Equal(3, fingerprints.Distinct().Count());
        Assert.Equal(3, fingerprints.Select(data => data.Directory).Distinct().Count());
    }

    [Fact]
    public void A_token_that_the_tokenizer_lacks_is_named() => Assert.Equal(
        "data.endOfDocument is \"<eot>\", but the tokenizer (byte) has no such token; add it to tokenizer.specialTokens of type \"bpe\", "
        + "name one that a tokenizer.json has, or set it to \"none\"",
        Assert.Throws<UserException>(() => Prepare(new ByteTokenizerOptions(), "<eot>")).Message);

    [Fact]
    public void Packed_rows_learn_where_documents_end()
    {
        using var data = Prepare(new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["<|endoftext|>"] }, null);
        var batch = new PackedRows(data.Train, 16).Open([data.Train.All], [1], seed: 1).Next(1);
        Assert.Equal(2, batch.Targets.Count(target => target == 0));
    }

    private PreparedData Prepare(TokenizerOptions tokenizer, string? named)
    {
        var documents = folder.Write("a.jsonl", "{\"text\":\"one\"}\n{\"text\":\"\"}\n{\"text\":\"two\"}\n");
        var data = new DataOptions { Train = [new SourceOptions { Path = documents }],
            Validation = [new SourceOptions { Path = documents }], EndOfDocument = named };
        return DataPreparation.Prepare(data, tokenizer, folder["datasets"]);
    }

    private string Text(string name)
    {
        using var shard = TokenShard.Open(folder[name], name);
        var tokens = new long[shard.Length];
        shard.Read(0, tokens);
        return string.Concat(tokens.Select(id => (char)id));
    }
}
