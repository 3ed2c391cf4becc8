using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Tests;

namespace Trainer.Evaluation.Tests;

public sealed class PasskeyEvaluatorTests
{
    private static readonly PasskeyOptions Short = new()
    {
        Lengths = [40], Introduction = "Find. ", Filler = ["ab ", "cde "], Needle = "<{0}> ", Question = "Key: ",
    };

    [Theory]
    [InlineData(0.0, "Find. <123> ab cde ab cde ab cde Key: ")]
    [InlineData(0.5, "Find. ab cde ab <123> cde ab cde Key: ")]
    [InlineData(1.0, "Find. ab cde ab cde ab cde <123> Key: ")]
    public void A_prompt_is_filled_up_to_its_length_with_the_passkey_at_its_depth(double depth, string text)
    {
        PasskeyPrompt prompt = PasskeyPrompt.Write(ByteTokenizer.Instance, Short, 40, depth, "123");
        Assert.Equal(text, ByteTokenizer.Instance.Decode(prompt.Tokens));
        Assert.Equal("123", ByteTokenizer.Instance.Decode(prompt.Answer));
        Assert.InRange(prompt.Tokens.Length, 40 - 3, 40);
    }

    [Fact]
    public void A_prompt_begins_as_generation_does()
    {
        PasskeyOptions words = new() { Lengths = [6], Introduction = "a", Filler = ["cat"], Needle = "{0}", Question = "here", Digits = 1 };
        Assert.Equal([1, 4, 5, 3, 5, 7], PasskeyPrompt.Write(TinyTokenizer.Words(framed: true), words, 6, 0.5, "8").Tokens);
        Assert.Equal([4, 5, 3, 5, 5, 7], PasskeyPrompt.Write(TinyTokenizer.Words(framed: false), words, 6, 0.25, "8").Tokens);
    }

    [Fact]
    public void A_length_without_room_is_refused()
    {
        var error = Assert.Throws<UserException>(() => PasskeyPrompt.Write(ByteTokenizer.Instance, Short, 16, 0, "123"));
        Assert.Equal("a passkey prompt of 16 tokens is too short: without any filler it has 17; ask for longer ones", error.Message);
    }

    public static MatrixTheoryData<int, int> PrefixesAndLengths => new([1, 8], [1, 2, 4]);

    [Theory]
    [MemberData(nameof(PrefixesAndLengths))]
    public void A_passkey_is_found_exactly_when_greedy_decoding_writes_it(int prefix, int length)
    {
        using LanguageModel model = TinyModel.Build(dropout: 0, prefix);
        PasskeyEvaluator probe = new(model, ByteTokenizer.Instance);
        TextGenerator generator = new(model, ByteTokenizer.Instance, TorchSharp.torch.CPU);
        int[][] texts = [.. Enumerable.Range(0, 5).Select(i => Enumerable.Range(0, 8).Select(j => (i * 61 + j * j * 29) % 256).ToArray())];
        GenerationOptions greedy = new() { Tokens = length, Sampling = new() { Greedy = true } };
        PasskeyPrompt[] right = [.. texts.Select(text => new PasskeyPrompt(text, [.. generator.Generate(text, greedy)]))];
        model.eval();
        Assert.Equal(5, probe.Found(right));
        for (int wrong = 0; wrong < length; wrong++)
        {
            PasskeyPrompt[] mixed = [.. right];
            mixed[2] = right[2] with { Answer = [.. right[2].Answer.Select((id, at) => at == wrong ? id ^ 1 : id)] };
            Assert.Equal(4, probe.Found(mixed));
        }
    }

    [Fact]
    public void Every_length_and_depth_has_a_cell_with_its_trials_and_the_same_seed_the_same_passkeys()
    {
        using LanguageModel model = TinyModel.Build();
        PasskeyOptions options = Short with { Lengths = [40, 60], Depths = [0, 1], Trials = 3 };
        PasskeyReport Measure() => new PasskeyEvaluator(model, ByteTokenizer.Instance).Evaluate(options);

        Assert.Equal([(40, 0.0, 3), (40, 1.0, 3), (60, 0.0, 3), (60, 1.0, 3)],
            Measure().Cells.Select(cell => (cell.Length, cell.Depth, cell.Trials)));
        Assert.Equal(Measure().Cells, Measure().Cells);
        Assert.True(model.training);
    }

    [Fact]
    public void Options_out_of_range_are_all_listed()
    {
        using LanguageModel model = TinyModel.Build();
        PasskeyOptions options = new() { Lengths = [0], Depths = [2], Trials = 0, Digits = 0, Filler = [], Needle = "none" };
        var error = Assert.Throws<ConfigurationException>(() => new PasskeyEvaluator(model, ByteTokenizer.Instance).Evaluate(options));
        Assert.Equal(["lengths", "depths", "trials", "digits", "filler", "needle"], error.Problems.Select(problem => problem.Path));
    }
}
