using Trainer.Checkpoints;
using Trainer.Data;
using Trainer.Data.Tokenizers;
using Trainer.Inference.Serving;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests.Serving;

/// <summary>What a model's prompts are, and how its texts are decoded.</summary>
public sealed class LoadedModelTests : IDisposable
{
    private static readonly Tokenizer Words = TinyTokenizer.Words(framed: true);

    private static readonly ModelOptions EncoderDecoder = new EncoderDecoderOptions
    {
        Dim = 16, Layers = 1, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 2 },
    };

    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task A_prompt_and_its_continuation_are_the_text_of_all_their_tokens()
    {
        using LoadedModel model = Load(TinyCheckpoint.Decoder);
        (int[] ids, string text) = await Generate(model, model.Request("a cat"));
        Assert.Equal(Words.Decode([4, 5, .. ids]), "a cat" + text);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_answer_is_decoded_by_itself(bool isTranslation)
    {
        using LoadedModel model = Load(isTranslation ? EncoderDecoder : TinyCheckpoint.Decoder);
        GenerationRequest request = isTranslation
            ? model.Request("a cat")
            : model.ChatRequest([new("user", "a cat")], new("{% for message in messages %}{{ message.content }}{% endfor %}"));
        (int[] ids, string text) = await Generate(model, request);
        Assert.Equal(Words.Decode(ids), text);
    }

    [Fact]
    public async Task An_imported_encoder_decoder_has_its_own_tokens_around_both_texts()
    {
        using LoadedModel model = Load(EncoderDecoder, new()
        {
            Train = [new() { Path = "none.jsonl", TargetColumn = "to" }], Objective = DataObjective.SequenceToSequence,
            DecoderStartToken = "</s>", ForcedBosToken = "<s>",
        });
        GenerationRequest request = model.Request("a cat");
        Assert.Equal([2, 1], request.Prompt);
        Assert.Equal([1, 4, 5, 2], request.Source!);
        (int[] ids, string text) = await Generate(model, request);
        Assert.Equal(Words.Decode([.. ids.Where(id => id != 1)]), text);

        (ids, text) = await Generate(model, request with { LogitBias = new Dictionary<int, double> { [1] = 1e3 } });
        Assert.Equal((8, ""), (ids.Count(id => id == 1), text));
    }

    private LoadedModel Load(ModelOptions options, DataOptions? data = null)
    {
        using LanguageModel model = options.Build(Words.VocabularySize);
        CheckpointConfiguration configuration = new()
        {
            Name = "words", Model = options, Tokenizer = new WordTokenizerOptions(),
            Data = data ?? new() { Train = [new() { Path = "none.txt" }] },
        };
        return new(Checkpoint.Write(directory.File("checkpoint"), configuration, Words, model), CPU);
    }

    private static async Task<(int[] Ids, string Text)> Generate(LoadedModel model, GenerationRequest request)
    {
        using GeneratedText generated = model.Generate(request with
        {
            MaxTokens = 8, Sampling = new() { Greedy = true }, StopTokens = new HashSet<int>(),
        });
        List<int> ids = [];
        string text = "";
        await foreach (TextPiece piece in generated)
        {
            text += piece.Text;
            if (piece.Token is { } token) ids.Add(token.Id);
        }
        return ([.. ids], text);
    }
}
