using System.Diagnostics;
using System.Text;
using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Data.Tests.Tokenizers;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Preparation;

public sealed class DataPreparationTests : IDisposable
{
    private static readonly TokenizerOptions Characters = new CharacterTokenizerOptions();
    private static readonly TokenizerOptions Bytes = new ByteTokenizerOptions();
    private readonly TemporaryFolder folder = new();
    private readonly List<string> lines = [];

    public void Dispose() => folder.Dispose();

    [Fact]
    public void The_last_part_by_characters_is_held_out() =>
        Prop.ForAll(UnicodeText.Texts, Gen.Choose(1, 9).ToArbitrary(), (text, tenths) =>
        {
            var runes = text.EnumerateRunes().ToArray();
            var kept = (int)((1 - tenths / 10.0) * runes.Length);
            if (kept < 2 || kept == runes.Length)
                return;
            var paths = new[] { folder.Write("a.txt", string.Concat(runes[..(kept / 2)])),
                folder.Write("b.txt", string.Concat(runes[(kept / 2)..])) };
            var data = Data(paths, tenths / 10.0);
            foreach (var options in new[] { Characters, Bytes })
            {
                using var prepared = DataPreparation.Prepare(data, options, folder["datasets"]);
                Assert.Equal(string.Concat(runes[..kept]), Decode(prepared, prepared.Train));
                Assert.Equal(string.Concat(runes[kept..]), Decode(prepared, prepared.Validation));
                Assert.Equal(kept, prepared.TrainStatistics.Characters);
                Assert.Equal(Encoding.UTF8.GetByteCount(text), prepared.TrainStatistics.Bytes + prepared.ValidationStatistics.Bytes);
                Assert.Equal(prepared.Train.Length, prepared.TrainStatistics.Tokens);
            }
        }).Holds(cases: 30);

    [Fact]
    public void Tiny_shakespeare_splits_as_in_nanoGPT()
    {
        var path = SharedData.Find("tinyshakespeare.txt");
        Assert.SkipUnless(path is not null, "../shared/data/tinyshakespeare.txt is not beside this checkout");
        using var prepared = DataPreparation.Prepare(Data([path]), Characters, folder["datasets"]);
        Assert.Equal(65, prepared.Tokenizer.VocabularySize);
        Assert.Equal((1_003_854L, 111_540L), (prepared.Train.Length, prepared.Validation.Length));
        // "First Citi", as nanoGPT's prepare.py numbers it
        Assert.Equal([18L, 47, 56, 57, 58, 1, 15, 47, 58, 47], Read(prepared.Train)[..10]);
    }

    [Fact]
    public void Named_validation_texts_take_precedence()
    {
        var data = new DataOptions { Train = [Source("a.txt", "hello")], Validation = [Source("b.txt", "hole")], ValidationFraction = 0.5 };
        using var prepared = DataPreparation.Prepare(data, Characters, folder["datasets"]);
        Assert.Equal("hello", Decode(prepared, prepared.Train));
        Assert.Equal("hole", Decode(prepared, prepared.Validation));
        Assert.Equal(new SplitStatistics(1, 4, 4, 4), prepared.ValidationStatistics);
    }

    [Fact]
    public void The_tokens_of_each_source_are_known()
    {
        using var prepared = DataPreparation.Prepare(new DataOptions { Train = [Source("a.txt", "hello"), Source("b.txt", "wide"),
            Source("c.txt", "o")], ValidationFraction = 0.3 }, Bytes, folder["datasets"]);
        Assert.Equal([new TokenRange("a", 0, 5), new TokenRange("b", 5, 2), new TokenRange("c", 7, 0)], prepared.TrainSources);
        Assert.Equal((7, 3), (prepared.Train.Length, prepared.Validation.Length));
        Assert.Equal((2, 2), (prepared.Train.DocumentCount, prepared.Validation.DocumentCount));
    }

    [Fact]
    public void A_validation_character_unknown_to_training_is_named_with_file_line_and_column()
    {
        var data = new DataOptions { Train = [Source("a.txt", "helo \n😀")], Validation = [Source("b.txt", "hello\nhe😀l é")] };
        var error = Assert.Throws<UserException>(() => DataPreparation.Prepare(data, Characters, folder["datasets"]));
        Assert.StartsWith($"{folder["b.txt"]}, line 2, column 6: the character 'é' (U+00E9) is not among the 7 characters of the training "
            + "text; ", error.Message);
        Assert.Empty(Directory.GetFileSystemEntries(folder["datasets"]));   // nothing half made is left
    }

    [Fact]
    public void A_second_call_opens_what_is_there()
    {
        var data = Data([folder.Write("a.txt", "some text to prepare")]);
        string fingerprint;
        using (var first = Prepare(data))
            fingerprint = first.Fingerprint;
        Assert.NotEmpty(lines);
        lines.Clear();
        using var second = Prepare(data);
        Assert.Empty(lines);
        Assert.Equal(fingerprint, second.Fingerprint);
        Assert.Equal(fingerprint, second.Train.Fingerprint);
    }

    [Fact]
    public void A_changed_text_is_prepared_again_and_a_touched_one_is_not()
    {
        var path = folder.Write("a.txt", "some text to prepare");
        Prepare(Data([path])).Dispose();
        lines.Clear();
        File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddHours(1));
        Prepare(Data([path])).Dispose();
        Assert.Empty(lines);

        folder.Write("a.txt", "same size, other txt");
        using var prepared = Prepare(Data([path]));
        Assert.StartsWith("the texts changed since", lines[0]);
        Assert.Equal("same size, other txt", Decode(prepared, prepared.Train) + Decode(prepared, prepared.Validation));
    }

    [Fact]
    public void A_text_behind_a_link_is_read_and_prepared_again_when_it_changes()
    {
        string path = folder["link.txt"], text = folder.Write("a.txt", "some text to prepare");
        File.CreateSymbolicLink(path, text);
        Prepare(Data([path])).Dispose();
        lines.Clear();
        folder.Write("a.txt", "another text, a longer one");
        using var prepared = Prepare(Data([path]));
        Assert.StartsWith("the texts changed since", lines[0]);
        Assert.Equal("another text, a longer one", Decode(prepared, prepared.Train) + Decode(prepared, prepared.Validation));
    }

    [Fact]
    public void An_empty_text_behind_a_link_is_refused()
    {
        string path = folder["link.txt"];
        File.CreateSymbolicLink(path, folder.Write("a.txt", ""));
        Assert.Contains("is empty", Assert.Throws<UserException>(() => Prepare(Data([path]))).Message);
    }

    [Fact]
    public void Another_tokenizer_or_split_has_data_of_its_own()
    {
        var path = folder.Write("a.txt", "some text to prepare");
        using var characters = Prepare(Data([path]));
        using var bytes = DataPreparation.Prepare(Data([path]), Bytes, folder["datasets"]);
        using var half = Prepare(Data([path], 0.5));
        Assert.Equal(3, new[] { characters, bytes, half }.Select(data => data.Directory).Distinct().Count());
        Assert.Equal(3, new[] { characters, bytes, half }.Select(data => data.Fingerprint).Distinct().Count());
        Assert.StartsWith("a-", Path.GetFileName(characters.Directory));
    }

    [Fact]
    public void Records_are_documents_and_each_column_has_data_of_its_own()
    {
        var path = folder.Write("a.jsonl",
            "{\"text\":\"first text\",\"body\":\"1\"}\n{\"text\":null,\"body\":\"22\"}\n{\"text\":\"second text\",\"body\":\"333\"}\n");
        using var text = Prepare(Data([path]));
        Assert.Equal("first textsecond text", Decode(text, text.Train) + Decode(text, text.Validation));
        Assert.Equal(2, text.TrainStatistics.Documents);
        var source = new SourceOptions { Path = path, Column = "body" };
        using var body = Prepare(new DataOptions { Train = [source], Validation = [source] });
        Assert.Equal("122333", Decode(body, body.Train));
        Assert.Equal(3, body.TrainStatistics.Documents);
        Assert.NotEqual(text.Directory, body.Directory);
    }

    [Fact]
    public void A_character_of_a_record_is_named_with_line_and_field()
    {
        var data = new DataOptions { Train = [Source("a.txt", "helo")], Validation = [Source("b.jsonl", "\n{\"text\":\"hellö\"}\n")] };
        Assert.StartsWith($"{folder["b.jsonl"]}, line 2, field \"text\", character 5: the character 'ö'",
            Assert.Throws<UserException>(() => Prepare(data)).Message);
    }

    [Theory]
    [InlineData("train.tokens")]
    [InlineData("tokenizer.json")]
    [InlineData("prepared.json")]
    public void Damaged_data_is_prepared_again(string file)
    {
        var data = Data([folder.Write("a.txt", "some text to prepare")]);
        string directory;
        using (var first = Prepare(data))
            directory = first.Directory;
        using (var stream = File.OpenWrite(Path.Combine(directory, file)))
            stream.SetLength(stream.Length / 2);
        lines.Clear();
        using var second = Prepare(data);
        Assert.NotEmpty(lines);
        Assert.Equal("some text to prepare", Decode(second, second.Train) + Decode(second, second.Validation));
        Assert.Equal([directory], Directory.GetFileSystemEntries(folder["datasets"]));
    }

    [Fact]
    public void Shards_of_other_data_are_not_mixed_in()
    {
        using var first = Prepare(Data([folder.Write("a.txt", "some text to prepare")]));
        using var other = Prepare(Data([folder.Write("b.txt", "some text to prepare too")]));
        first.Dispose();   // the runtime locks mapped files against being overwritten
        other.Dispose();
        File.Copy(Path.Combine(other.Directory, "train.tokens"), Path.Combine(first.Directory, "train.tokens"), overwrite: true);
        lines.Clear();
        using var again = Prepare(Data([folder["a.txt"]]));
        Assert.Contains("holds the tokens of other texts or of another tokenizer; preparing again", lines[0]);
        Assert.Equal("some text to prepare", Decode(again, again.Train) + Decode(again, again.Validation));
    }

    [Fact]
    public void An_exchanged_tokenizer_is_noticed()
    {
        var data = Data([folder.Write("a.txt", "some text to prepare")]);
        string directory;
        using (var first = Prepare(data))
            directory = first.Directory;
        CharacterTokenizerTests.Learn("som etxprz").Save(Path.Combine(directory, "tokenizer.json"));   // as many characters, other ones
        lines.Clear();
        using var again = Prepare(data);
        Assert.Contains("tokenizer.json is not the tokenizer that the tokens beside it were made with; preparing again", lines[0]);
        Assert.Equal("some text to prepare", Decode(again, again.Train) + Decode(again, again.Validation));
    }

    [Fact]
    public void A_split_without_text_is_an_error()
    {
        Assert.Equal(
            "data.validationFraction (0.99) of 5 characters leaves nothing to train on; choose another fraction, or name validation texts "
            + "in data.validation",
            Assert.Throws<UserException>(() => Prepare(Data([folder.Write("a.txt", "hello")], 0.99))).Message);
        Assert.Equal(
            $"data.train has no text: {folder["bom.txt"]}; name a file with text",
            Assert.Throws<UserException>(() => Prepare(Data([folder.Write("bom.txt", "\uFEFF")]))).Message);
    }

    [Fact]
    public void A_place_that_cannot_be_written_is_named()
    {
        folder.Write("datasets", "a file, no folder");
        Assert.StartsWith(
            $"the folder of prepared data {folder["datasets"]} cannot be made: ",
            Assert.Throws<UserException>(() => Prepare(Data([folder.Write("a.txt", "hello world")]))).Message);
    }

    [Fact]
    public void A_warm_start_is_quick()
    {
        var data = Data([folder.Write("a.txt",
            string.Concat(Enumerable.Repeat("All work and no play makes Jack a dull boy.\n", 100_000)))]);
        Prepare(data).Dispose();
        Assert.InRange(Enumerable.Range(0, 5).Min(_ =>
        {
            var start = Stopwatch.GetTimestamp();
            Prepare(data).Dispose();
            return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }), 0, 100);
    }

    private PreparedData Prepare(DataOptions data) => DataPreparation.Prepare(data, Characters, folder["datasets"], new ProgressLog(lines));

    private SourceOptions Source(string name, string text) => new() { Path = folder.Write(name, text) };

    private static DataOptions Data(IEnumerable<string> paths, double fraction = 0.1) =>
        new() { Train = [.. paths.Select(path => new SourceOptions { Path = path })], ValidationFraction = fraction };

    private static string Decode(PreparedData prepared, TokenShard shard) =>
        prepared.Tokenizer.Decode(Array.ConvertAll(Read(shard), id => (int)id));

    private static long[] Read(TokenShard shard)
    {
        var tokens = new long[shard.Length];
        shard.Read(0, tokens);
        return tokens;
    }
}
