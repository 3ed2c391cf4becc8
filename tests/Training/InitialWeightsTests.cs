using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Positions;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>Runs that begin with another model's weights: with fewer key-value heads, or for a longer context.</summary>
public sealed class InitialWeightsTests : IDisposable
{
    private readonly TinyRun tiny = new();
    private readonly Recipe original;

    public InitialWeightsTests()
    {
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 4 }, Schedule = new ConstantSchedule(),
            Checkpoint = new CheckpointOptions { Every = 4, Keep = 10 } };
        original = tiny.Recipe;
        tiny.Train("base");
    }

    public void Dispose() => tiny.Dispose();

    private DecoderOptions Model => (DecoderOptions)original.Model;

    [Theory]
    [InlineData(HeadPool.Mean)]
    [InlineData(HeadPool.Random)]
    public void The_original_recipe_uptrains_with_fewer_heads_and_resumes_exactly(HeadPool pool)
    {
        Begin(original, new ConvertOptions { KeyValueHeads = 1, Pool = pool });
        tiny.Train("whole");
        Assert.Equal(new MultiQueryOptions { Heads = 2 }, Checkpoint.Open(tiny.RunPath("whole")).Model.Attention);
        Assert.Contains($"key and value heads pooled to 1 ({pool.ToString().ToLowerInvariant()}) in 2 tensors", tiny.Progress);

        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 2 } };
        tiny.Train("parts");
        tiny.Recipe = tiny.Recipe with { Training = tiny.Recipe.Training with { Steps = 4 } };
        tiny.Train("parts", resume: true);
        Assert.Equal(Weights("whole"), Weights("parts"));
    }

    [Fact]
    public void The_resolved_recipe_of_a_resolved_one_is_the_same()
    {
        Recipe recipe = original with { Initialize = new() { From = "x", Convert = new() { KeyValueHeads = 1 } } };
        Recipe resolved = recipe.Resolve();
        Assert.Equal(ConfigurationJson.Serialize(resolved), ConfigurationJson.Serialize(resolved.Resolve()));
        Assert.Same(original, original.Resolve());
    }

    [Theory]
    [InlineData(3, "initialize.convert.keyValueHeads: model.attention has 2 key-value heads, and 3 are more: heads can be pooled, not " +
        "added; use 1 or 2")]
    [InlineData(0, "initialize.convert.keyValueHeads")]
    public void Heads_that_do_not_go_are_a_mistake_of_the_recipe(int heads, string message)
    {
        tiny.Recipe = original with { Initialize = new() { From = "x", Convert = new() { KeyValueHeads = heads } } };
        Assert.Contains(message, tiny.ConfigurationError());
    }

    [Fact]
    public void Weights_with_fewer_heads_than_are_wanted()
    {
        Begin(original, new ConvertOptions { KeyValueHeads = 1 });
        tiny.Train("single");
        tiny.Recipe = original with { Initialize = new() { From = tiny.RunPath("single"), Convert = new() { KeyValueHeads = 2 } } };
        string message = Assert.Throws<ConfigurationException>(() => tiny.Train("more")).Message;
        Assert.Contains("initialize.convert.keyValueHeads: of ", message);
        Assert.Contains("model.attention has 1 key-value head, and 2 are more", message);
    }

    [Fact]
    public void A_chat_template_and_end_tokens_stay_with_a_model_that_is_trained_on_and_resumed()
    {
        string source = Checkpoint.Open(tiny.RunPath("base")).Directory;
        File.WriteAllText(Path.Combine(source, "chat_template.json"), """{ "template": "{{ messages[0].content }}" }""");
        File.WriteAllText(Path.Combine(source, "generation_config.json"), """{ "eos_token_id": 10 }""");
        tiny.Recipe = original with
        {
            Initialize = new() { From = tiny.RunPath("base") }, Training = original.Training with { Steps = 2 },
            Checkpoint = new() { Every = 1, Keep = 1 },
        };
        tiny.Train("tuned");
        tiny.Recipe = tiny.Recipe with { Training = original.Training with { Steps = 4 } };
        tiny.Train("tuned", resume: true);

        string tuned = tiny.Store("tuned").DirectoryOf(4);
        Assert.Equal([10], Checkpoint.Open(tuned).EndTokens);
        Assert.Equal(
            File.ReadAllText(Path.Combine(source, "chat_template.json")), File.ReadAllText(Path.Combine(tuned, "chat_template.json")));
    }

    public static TheoryData<string> Scalings => [.. ContextExtension.Methods, "none"];

    // Scaling changes no weight: the recipe alone makes the context longer.
    [Theory]
    [MemberData(nameof(Scalings))]
    public void A_longer_context_begins_with_the_same_weights(string scaling)
    {
        ModelOptions longer = scaling == "none" ? Model with { ContextLength = 64 } : new ContextExtension(scaling, 4).Apply(Model);
        Recipe recipe = original with { Model = longer, Initialize = new() { From = tiny.RunPath("base") } };
        tiny.Recipe = recipe;
        using PreparedData data = tiny.Prepare();
        using LanguageModel model = InitialWeights.Build(recipe, data.Tokenizer, CPU, _ => { });
        using LanguageModel source = Checkpoint.Open(tiny.RunPath("base")).LoadModel(CPU);
        foreach ((string name, Tensor value) in source.state_dict())
            TensorAssert.Same(value, model.state_dict()[name], name);
        tiny.Train("longer");
        Assert.Equal(64, Checkpoint.Open(tiny.RunPath("longer")).Model.ContextLength);
    }

    [Fact]
    public void Learned_positions_cannot_be_stretched()
    {
        Recipe learned = original with { Model = Model with { Position = new LearnedOptions() } };
        tiny.Recipe = learned;
        tiny.Train("learned");
        tiny.Recipe = learned with { Model = learned.Model with { ContextLength = 64 },
            Initialize = new() { From = tiny.RunPath("learned") } };
        Assert.Contains("has learned 16 positions, and model.contextLength is 64; learned positions cannot be stretched: set " +
            "contextLength to 16",
            Assert.Throws<UserException>(() => tiny.Train("stretched")).Message);
    }

    [Fact]
    public void Positions_that_skip_train_a_long_context_in_short_rows_and_resume_exactly()
    {
        Recipe recipe = original with
        {
            Model = Model with { ContextLength = 128, Position = new RotaryOptions { Scaling = new YarnScaling { OriginalLength = 16 } } },
            Data = original.Data with { PositionSkipping = new() { Window = 16 } },
            Initialize = new() { From = tiny.RunPath("base") },
        };
        tiny.Recipe = recipe;
        Assert.Equal(4 * 16 * 16, tiny.Train("whole").Tokens);
        tiny.Recipe = recipe with { Training = recipe.Training with { Steps = 2 } };
        tiny.Train("parts");
        tiny.Recipe = recipe;
        tiny.Train("parts", resume: true);
        Assert.Equal(Weights("whole"), Weights("parts"));

        tiny.Recipe = recipe with { Data = original.Data,
            Model = recipe.Model with { ContextLength = 16, Position = new RotaryOptions() } };
        tiny.Train("plain");
        Assert.NotEqual(Weights("whole"), Weights("plain"));
    }

    [Theory]
    [InlineData("rotary", 16,
        "data.positionSkipping.window: window (16) must be less than model.contextLength (16), the length that is trained for; set " +
        "contextLength to the target length, or remove positionSkipping")]
    [InlineData("learned", 64,
        "data.positionSkipping: needs rotary positions in every layer that has positions, and model.position is another; remove it, or " +
        "set model.position.type to 'rotary'")]
    [InlineData("alibi", 64, "data.positionSkipping: needs rotary positions")]
    [InlineData("none", 64, "data.positionSkipping: needs rotary positions")]
    public void Only_rotary_positions_skip_and_only_below_the_context(string position, int contextLength, string message)
    {
        PositionOptions options = position switch
        {
            "learned" => new LearnedOptions(),
            "alibi" => new AlibiOptions(),
            "none" => new NoPositionOptions(),
            _ => new RotaryOptions(),
        };
        tiny.Recipe = original with
        {
            Model = Model with { ContextLength = contextLength, Position = options },
            Data = original.Data with { PositionSkipping = new() { Window = 16 } },
        };
        Assert.Contains(message, tiny.ConfigurationError());
    }

    [Fact]
    public void A_decoder_that_begins_with_a_named_token_is_not_trained_with_another_by_default()
    {
        string pairs = Path.Combine(tiny.Root, "pairs.jsonl");
        File.WriteAllLines(pairs, Enumerable.Range(0, 60).Select(number => $"{{\"text\":\"q{number}\",\"other\":\"a{number} b\"}}"));
        Recipe recipe = original with
        {
            Model = new EncoderDecoderOptions
            {
                Dim = 16, Layers = 1, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 2 },
            },
            Tokenizer = new BpeTokenizerOptions { VocabularySize = 270, SpecialTokens = ["<s>", "</s>"] },
            Data = new()
            {
                Train = [new() { Path = pairs, Column = "text", TargetColumn = "other" }], Objective = DataObjective.SequenceToSequence,
                DecoderStartToken = "</s>",
            },
        };
        tiny.Recipe = recipe;
        tiny.Train("translator");
        Assert.Equal(new SequenceTokens(1, 1), Checkpoint.Open(tiny.RunPath("translator")).SequenceTokens);

        tiny.Recipe = recipe with
        {
            Data = recipe.Data with { DecoderStartToken = null }, Initialize = new() { From = tiny.RunPath("translator") },
        };
        Assert.EndsWith(
            "begins with </s>, and that of this recipe would begin otherwise; set data.decoderStartToken to \"</s>\"",
            Assert.Throws<UserException>(() => tiny.Train("unnamed")).Message);
        tiny.Recipe = tiny.Recipe with { Data = recipe.Data with { DecoderStartToken = "<s>" } };
        tiny.Train("named");
        Assert.Equal(new SequenceTokens(0, 1), Checkpoint.Open(tiny.RunPath("named")).SequenceTokens);
    }

    private void Begin(Recipe recipe, ConvertOptions convert) =>
        tiny.Recipe = recipe with { Initialize = new() { From = tiny.RunPath("base"), Convert = convert } };

    private byte[] Weights(string run) => File.ReadAllBytes(Path.Combine(tiny.Store(run).DirectoryOf(4), CheckpointFiles.Model));
}
