using System.Text;
using System.Text.Json;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Corpora;
using Trainer.Data.Parquet;
using Trainer.Data.Preparation;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Preparation;

public sealed class DocumentLocatorTests : IDisposable
{
    private const int Context = 24;
    private readonly TemporaryFolder folder = new();
    private readonly Dictionary<(string Source, long Number), string> documents = [];

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("crops", "causal", 1)]
    [InlineData("documents", "causal", 1)]
    [InlineData("crops", "masked", 1)]
    [InlineData("crops", "causal", 0)]
    [InlineData("documents", "causal", 0)]
    public void Every_token_of_every_row_is_found_where_it_was_read(string packing, string objective, int weighted)
    {
        var weight = weighted == 1 ? 3.5 : (double?)null;
        var options = new DataOptions
        {
            Train =
            [
                new SourceOptions { Path = TextFiles(), Format = SourceFormat.Text },
                new SourceOptions { Path = JsonLines(), Weight = weight },
                new SourceOptions { Path = Parquet(), Column = "content" },
            ],
            ValidationFraction = 0.05,
            Packing = Enum.Parse<DataPacking>(packing, ignoreCase: true),
            Objective = Enum.Parse<DataObjective>(objective, ignoreCase: true),
        };
        TokenizerOptions tokenizer = objective == "masked"
            ? new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["[MASK]", "[EOS]"] }
            : new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["[EOS]"] };

        var seen = Check(options, tokenizer);

        Assert.Equal(3, seen.Select(place => Path.GetExtension(place.Source)).Distinct().Count());
        Assert.Contains(seen, place => place is { Unit: "row", Field: "column \"content\"" });
        Assert.Contains(seen, place => place.Source.EndsWith(".txt") && place.Number > 5);
    }

    [Theory]
    [InlineData("causal", "pairs")]
    [InlineData("sequence-to-sequence", "crops")]
    public void Both_texts_of_a_pair_are_found(string objective, string packing)
    {
        var lines = Enumerable.Range(0, 40).Select(i => JsonSerializer.Serialize(new { text = $"ask {i}", target = $"say {i * i}" }));
        var path = folder.Write("pairs.jsonl", string.Join("\n", lines.Prepend("""{"text": "", "target": "left out"}""")));
        for (var i = 0; i < 40; i++)
            documents[(path, i + 2)] = $"ask {i}say {i * i}";
        var options = new DataOptions
        {
            Train = [new SourceOptions { Path = path, TargetColumn = "target" }],
            Packing = Enum.Parse<DataPacking>(packing, ignoreCase: true),
            Objective = objective == "causal" ? DataObjective.Causal : DataObjective.SequenceToSequence,
        };
        var tokenizer = new BpeTokenizerOptions { VocabularySize = 270, SpecialTokens = ["<s>", "</s>"] };
        var seen = Check(options, tokenizer, bothSides: true);
        Assert.Contains(seen, place => place.Text.StartsWith("ask"));
        Assert.Contains(seen, place => place.Text.StartsWith("say"));
    }

    [Fact]
    public void Examples_that_no_file_holds_are_found_by_their_number()
    {
        var source = new SourceOptions { Format = SourceFormat.Synthetic, Examples = 50,
            Task = new CopyTaskOptions { Length = 8 } };
        var options = new DataOptions { Train = [source], Validation = [source with { Split = SourceSplit.Validation }] };
        using var data = DataPreparation.Prepare(options, new ByteTokenizerOptions(), folder["datasets"]);
        var span = new DocumentSpan(17, new TokenSpan(data.Train.DocumentStart(17), 4, 0));
        var place = Assert.Single(new DocumentLocator(data, options, new ByteTokenizerOptions(), folder["datasets"]).Locate([span]));
        Assert.Equal(("synthetic-copy", "example", 18, 0), (place.Source, place.Unit, place.Number, place.Offset));
    }

    [Fact]
    public void Answers_that_a_record_does_not_have_are_counted()
    {
        var path = folder.Write("judged.jsonl", """
            {"prompt": "q", "completion": "a", "label": false}
            {"prompt": "r", "completion": "b", "label": true}
            {"prompt": "s", "completion": "c", "label": false}
            """);
        var source = new SourceOptions { Path = path, Format = SourceFormat.Preferences };
        var options = new DataOptions { Train = [source], Validation = [source] };
        using var data = DataPreparation.Prepare(options, new ByteTokenizerOptions(), folder["datasets"]);
        DocumentSpan Document(long number) => new(number, new TokenSpan(data.Train.DocumentStart(number), 1, 0));
        var places = new DocumentLocator(data, options, new ByteTokenizerOptions(), folder["datasets"])
            .Locate([Document(1), Document(2), Document(5)]);
        Assert.Equal([$"{path}, line 1", $"{path}, line 2", $"{path}, line 3"], places.Select(place => $"{place}"));
    }

    [Fact]
    public void A_source_that_changed_is_refused()
    {
        var options = new DataOptions { Train = [new SourceOptions { Path = JsonLines() }] };
        using var data = DataPreparation.Prepare(options, new ByteTokenizerOptions(), folder["datasets"]);
        File.AppendAllText(options.Train[0].Path!, """{"text": "one more"}""");
        var locator = new DocumentLocator(data, options, new ByteTokenizerOptions(), folder["datasets"]);
        var error = Assert.Throws<UserException>(() => locator.Locate([new DocumentSpan(0, new TokenSpan(0, 1, 0))]));
        Assert.Contains("a.jsonl changed since it was prepared", error.Message);
    }

    private List<TokenPlace> Check(DataOptions options, TokenizerOptions tokenizer, bool bothSides = false)
    {
        using var data = DataPreparation.Prepare(options, tokenizer, folder["datasets"]);
        var stream = BatchStream.Create(data, options, Context, seed: 3);
        var locator = new DocumentLocator(data, options, tokenizer, folder["datasets"]);
        List<TokenPlace> seen = [];
        for (var step = 0; step < 6; step++)
        {
            var batch = stream.Next(8);
            if (options.Packing == DataPacking.Crops && options.Objective == DataObjective.Causal && step > 3)
                batch = batch.Cut(Context / 3);
            batch = batch.Part(step % 2, 2);   // a part keeps its rows
            for (var row = 0; row < batch.Rows; row++)
            {
                var spans = batch.SpansOf(row).SelectMany(span => data.Train.Documents(span)).ToArray();
                Assert.NotEmpty(spans);
                foreach (var (span, place) in spans.Zip(locator.Locate(spans)))
                {
                    Check(batch, row, span.Tokens, data);
                    Check(span.Tokens, place, data, bothSides);
                    seen.Add(place);
                }
            }
        }
        return seen;
    }

    /// <summary>The targets of a row are the tokens that its spans name.</summary>
    private static void Check(Batch batch, int row, TokenSpan span, PreparedData data)
    {
        if (span.Column is not { } column)
            return;
        var tokens = new long[span.Length];
        data.Train.Read(span.Start, tokens);
        for (var i = 0; i < tokens.Length; i++)
            if (batch.Targets[row * batch.Columns + column + i] is not Batch.Ignored and var target)
                Assert.Equal(tokens[i], target);
    }

    /// <summary>The tokens' text stands in the document that is named, behind so many bytes.</summary>
    private void Check(TokenSpan span, TokenPlace place, PreparedData data, bool bothSides)
    {
        var tokens = new long[span.Length];
        data.Train.Read(span.Start, tokens);
        var bytes = data.Tokenizer.DecodeBytes([.. tokens.Select(token => (int)token)]);
        var isText = place.Source.EndsWith(".txt");
        var document = Encoding.UTF8.GetBytes(isText ? File.ReadAllText(place.Source) : documents[(place.Source, place.Number)]);
        if (bothSides)
        {
            Assert.True(document.AsSpan().IndexOf(bytes) >= 0 || bytes.AsSpan().EndsWith("</s>"u8));
            return;
        }
        var rest = document.AsSpan((int)place.Offset);
        var shared = bytes.AsSpan().EndsWith("[EOS]"u8) ? bytes.AsSpan()[..^5] : bytes;
        Assert.True(rest.StartsWith(shared), $"{place}, byte {place.Offset}: \"{Encoding.UTF8.GetString(bytes)}\" is not there");
        if (isText)
            Assert.Equal(1 + document.AsSpan(0, (int)place.Offset).Count((byte)'\n'), place.Number);
        if (bytes.Length < 40)
            Assert.StartsWith(place.Text.Split('\uFFFD')[0], Encoding.UTF8.GetString(bytes));
    }

    private string TextFiles()
    {
        Directory.CreateDirectory(folder["texts"]);
        for (var file = 0; file < 3; file++)
            folder.Write($"texts/{file}.txt", string.Join('\n', Enumerable.Range(0, 12 + 9 * file).Select(i => $"Zeile {i} für {file}: {Word(i * 7 + file)}")));
        folder.Write("texts/empty.txt", "");
        return folder["texts"];
    }

    private string JsonLines()
    {
        var path = folder["a.jsonl"];
        string[] lines = [.. Enumerable.Range(1, 60).Select(i => i % 9 == 0 ? "" : $"{Word(i)}\nline two of {i}\n{new string('é', i % 5)}")];
        File.WriteAllLines(path, lines.Select(text => JsonSerializer.Serialize(new { text })));
        foreach (var (index, text) in lines.Index())
            documents[(path, index + 1)] = text;
        return path;
    }

    private string Parquet()
    {
        var path = folder["b.parquet"];
        string?[] rows = [.. Enumerable.Range(1, 700).Select(i => i % 11 == 0 ? null : $"row {i} {Word(i)}")];
        ParquetTable.Write(path, [new("content", ParquetKind.Text)], rows.Select(text => new object?[] { text }));
        foreach (var (index, text) in rows.Index())
            documents[(path, index + 1)] = text ?? "";
        return path;
    }

    private static string Word(int seed) => string.Concat(Enumerable.Range(0, 3 + seed % 23).Select(i => (char)('a' + (seed * 31 + i * i) % 26)));
}
