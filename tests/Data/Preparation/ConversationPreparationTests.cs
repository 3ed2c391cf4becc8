using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Corpora;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Preparation;

/// <summary>Conversations, through to training rows.</summary>
public sealed class ConversationPreparationTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Conversations_are_prepared_with_what_is_learned()
    {
        Write(Enumerable.Range(0, 700).Select(number => $"q{number}"));
        using var data = Prepare(new ByteTokenizerOptions());
        Assert.Equal(258, data.Tokenizer.VocabularySize);
        Assert.Equal(700, data.TrainStatistics.Documents + data.ValidationStatistics.Documents);
        Assert.Equal("<|im_start|>user\nq0<|im_end|>\n<|im_start|>assistant\nA q0.<|im_end|>\n", Document(data, 0, learned: false));
        Assert.Equal("A q0.<|im_end|>", Document(data, 0, learned: true));
        Assert.Equal("A q9.<|im_end|>", Document(data, 9, learned: true));
        var batch = BatchStream.Create(data, Options(), contextLength: 64, seed: 1).Next(4);
        Assert.Equal(4 * 64, batch.Targets.Length);
        Assert.InRange(batch.TargetTokens, 4 * 5, 4 * 20);
    }

    [Fact]
    public void A_learned_tokenizer_has_the_templates_tokens()
    {
        Write(Enumerable.Range(0, 50).Select(number => $"What is the number {number}?"));
        using var data = Prepare(new BpeTokenizerOptions { VocabularySize = 300 });
        Assert.Equal("A What is the number 3?.<|im_end|>", Document(data, 3, learned: true));
        Assert.Equal(["<|im_start|>", "<|im_end|>"], DataReport.Of(data, Options()).SpecialTokens.Select(token => token.Token));
    }

    [Fact]
    public void Templates_and_what_is_learned_have_data_of_their_own_and_truncation_has_not()
    {
        Write(Enumerable.Range(0, 50).Select(number => $"q{number}"));
        string Folder(ConversationOptions? options)
        {
            using var data = Prepare(new ByteTokenizerOptions(), options);
            return data.Directory;
        }
        var first = Folder(null);
        Assert.Equal(first, Folder(new() { Truncation = ConversationTruncation.Drop }));
        Assert.Equal(4, new[] { first, Folder(new() { Template = "zephyr" }), Folder(new() { Template = "llama3" }),
            Folder(new() { Learn = LearnedTurns.All }) }.Distinct().Count());
    }

    [Fact]
    public void The_first_bad_record_is_named_whatever_the_threads()
    {
        var system = """{"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}""";
        File.WriteAllLines(folder["talks.jsonl"], [.. Enumerable.Range(0, 600).Select(n => n is 300 or 301 ? system : Line($"q{n}"))]);
        Assert.Equal($"{folder["talks.jsonl"]}, line 301: the chat template \"mistral\" refuses it: Conversation roles must alternate "
            + "user/assistant/user/assistant/...",
            Assert.Throws<UserException>(() => Prepare(new ByteTokenizerOptions(), new() { Template = "mistral" })).Message);
    }

    [Fact]
    public void A_character_tokenizer_is_refused()
    {
        Write(["q", "r"]);
        Assert.StartsWith("data.chat.template \"chatml\" needs the tokens <|im_start|>, <|im_end|>, and the tokenizer (character) has none",
            Assert.Throws<UserException>(() => Prepare(new CharacterTokenizerOptions())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Documentation_becomes_questions()
    {
        var asked = DotnetDocsChat.Questions("File.Open(String path, Int32 n)\nOpens a file.\npath: The file to open.\nReturns: A stream.\n"
            + "Returns: Open.\nThrows IOException: It is gone.\nRemarks: Slow.\n");
        Assert.Equal(
            [
                "user: What does File.Open(String path, Int32 n) do?", "assistant: Opens a file.", "user: What is path?",
                "assistant: The file to open.", "user: What does it return?", "assistant: A stream. Open.",
                "user: When does it throw IOException?", "assistant: It is gone.", "user: What else is there to know?", "assistant: Slow.",
            ], asked.Select(message => $"{message.Role}: {message.Content}"));
        Assert.Equal("What is System.IO.File?", DotnetDocsChat.Questions("System.IO.File\nIt has files.\nAnd more.\n")[0].Content);
        Assert.Empty(DotnetDocsChat.Questions("File.Open()\nReturns: A stream.\n"));
    }

    [Fact]
    public void Options_that_contradict_conversations_say_so()
    {
        string[] Problems(DataOptions data) => [.. data.Validate().Select(problem => $"{problem.Path}: {problem.Message}")];
        var talks = Options();
        Assert.Empty(Problems(talks));
        Assert.Equal(DataPacking.Documents, talks.Packing);
        Assert.Equal(["packing: is \"crops\", but conversations (data.train.0) are whole documents; remove it, or set it to \"documents\""],
            Problems(talks with { Packing = DataPacking.Crops }));
        Assert.Equal(["endOfDocument: is \"</s>\", but the template of data.chat ends turns; remove it"],
            Problems(talks with { EndOfDocument = "</s>" }));
        Assert.Equal(["objective: is \"masked\", but conversations (data.train.0) are learned token after token; set it to \"causal\""],
            Problems(talks with { Objective = DataObjective.Masked }).Where(problem => problem[0] == 'o'));
        // Texts may stand beside conversations, and are documents.
        var mixed = talks with { Train = [new() { Path = "a.txt" }, .. talks.Train], EndOfDocument = "</s>" };
        Assert.Empty(Problems(mixed));
        Assert.Equal(["packing: is \"crops\", but conversations (data.train.1) are whole documents; remove it, or set it to \"documents\""],
            Problems(mixed with { Packing = DataPacking.Crops }));
        Assert.Equal(["validation.0.format: must be one of texts, for data.train has no conversations; give some to train on as well"],
            Problems(new DataOptions { Train = [new() { Path = "a.txt" }], Validation = talks.Train }));
        Assert.Equal(["chat: is set, but data.train has no conversations; remove it, or set the format of the sources to \"chat\""],
            Problems(new DataOptions { Train = [new() { Path = "a.txt" }], Chat = new() }));
        Assert.Equal(["template: is \"chatlm\"; known are chatml, llama3, mistral, gemma, zephyr, or give the path of a "
            + "tokenizer_config.json with a chat_template"],
            new ConversationOptions { Template = "chatlm" }.Validate().Select(problem => $"{problem.Path}: {problem.Message}"));
    }

    /// <summary>Texts are cut into rows, whatever becomes of conversations that are longer.</summary>
    [Theory]
    [InlineData(LearnedTurns.Assistant)]
    [InlineData(LearnedTurns.All)]
    public void Texts_beside_conversations_are_learned_whole(LearnedTurns learn)
    {
        Write(Enumerable.Range(0, 3).Select(i => $"question {i} " + new string('q', 60)));
        folder.Write("text.txt", string.Concat(Enumerable.Range(0, 100).Select(i => $"{i % 10}")));
        var options = Options(new() { Learn = learn, Truncation = ConversationTruncation.Drop }) with
        {
            Train = [new() { Path = folder["text.txt"], Weight = 3 }, .. Options().Train], Validation = Options().Train,
        };
        using var data = DataPreparation.Prepare(options, new ByteTokenizerOptions(), folder["mixed"]);

        Assert.Equal([100, data.TrainSources[1].Length], data.TrainSources.Select(source => source.Length));
        var batch = new PackedRows(data.Train, 40, ConversationTruncation.Drop).Open([data.TrainSources[0]], [1], seed: 1).Next(3);
        Assert.InRange(batch.TargetTokens, 60, 120);
        Assert.Equal(new(3, 3, 3, data.TrainSources[1].Length, data.TrainSources[1].Length), ConversationFit.Of(data.Train, options, 40));
        Assert.Equal($"{data.TrainSources[1].Name} has no conversation with a learned token within model.contextLength (40), where "
            + "data.chat.truncation is \"drop\"; set contextLength to more, or truncation to \"split\"",
            Assert.Throws<UserException>(() => new PackedRows(data.Train, 40, ConversationTruncation.Drop).Open([data.TrainSources[1]], [1], 1)).Message);
        Assert.Equal(Enumerable.Range(0, 100).Select(i => $"{i % 10}"), Document(data, 0, learned: true).Select(c => $"{c}"));
    }

    private static string Document(PreparedData data, long document, bool learned)
    {
        var start = data.Train.DocumentStart(document);
        var length = data.Train.DocumentStart(document + 1) - start;
        var (ids, marks) = (new long[length], new bool[length]);
        data.Train.Read(start, ids);
        data.Train.ReadLearned(start, marks);
        return data.Tokenizer.Decode([.. ids.Where((_, index) => !learned || marks[index]).Select(id => (int)id)]);
    }

    private void Write(IEnumerable<string> questions) => File.WriteAllLines(folder["talks.jsonl"], questions.Select(Line));

    private static string Line(string question) => $$"""{"instruction":"{{question}}","output":"A {{question}}."}""";

    private DataOptions Options(ConversationOptions? chat = null) => new()
    {
        Train = [new() { Path = folder["talks.jsonl"], Format = SourceFormat.Chat }],
        Chat = chat,
    };

    private PreparedData Prepare(TokenizerOptions tokenizer, ConversationOptions? chat = null) =>
        DataPreparation.Prepare(Options(chat), tokenizer, folder["datasets"]);
}
