using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Scheduled;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests;

public sealed class AnswerEvaluatorTests
{
    private const int Length = 4;

    private static readonly int[][] Prompts = [[97, 98], [99], [100, 101, 102], [103], [104, 105]];

    [Fact]
    public void An_answer_is_right_where_it_is_that_of_the_data_and_ends()
    {
        using LanguageModel model = TinyModel.Build(dropout: 0.5);
        int[][] said = [.. Prompts.Select(prompt => Said(model, prompt))];
        int end = said[0][2]; // so that the first answer ends
        int[][] answers = [.. said.Select(tokens => tokens.TakeWhile(token => token != end).ToArray())];
        bool[] ends = [.. said.Select(tokens => tokens.Contains(end))];
        Batch batch = Rows([.. Prompts.Zip(answers, (prompt, answer) => (prompt, answer)),
            (Prompts[0], [.. answers[0], 120]), (Prompts[0], answers[0][..^1])], end);
        AnswerEvaluator evaluator = new(model, ByteTokenizer.Instance, end, Length);

        AnswerReport report = evaluator.Evaluate([batch], (answer, wanted) => wanted.EndsWith('x') ? 0.25 : 0.5);

        Assert.True(model.training);
        Assert.Equal((7, ends.Count(each => each)), (report.Answers, report.Right));
        Assert.Equal(report.Right + 2, report.Ended);
        Assert.Equal(0.5 * report.Right + 0.25 + 0.5, report.Reward, 1e-9);
        long tokens = answers.Zip(ends).Sum(pair => pair.First.Length + (pair.Second ? 1 : 0)) + 2 * (answers[0].Length + 1);
        Assert.Equal(tokens, report.Tokens);
        Assert.Equal(ByteTokenizer.Instance.Decode(answers[0]), report.Examples[0].Answer);
        Assert.Equal(("ab", report.Examples[0].Wanted), (report.Examples[0].Prompt, report.Examples[0].Answer));
        Assert.Equal(report.Right, evaluator.Evaluate([batch]).Reward);
    }

    [Fact]
    public void Rows_without_a_target_are_no_prompts()
    {
        Assert.Empty(PromptedAnswer.Of(new Batch([1, 2], [Batch.Ignored, Batch.Ignored], 1, 2), end: 3));
        using LanguageModel model = TinyModel.Build(dropout: 0);
        Assert.Throws<UserException>(() => new AnswerEvaluator(model, ByteTokenizer.Instance, 3, Length).Evaluate([]));
    }

    [Fact]
    public void The_measure_is_for_pairs_of_a_decoder_whose_answers_end()
    {
        DecoderOptions model = new() { Dim = 16, Layers = 1, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 2 } };
        DataOptions pairs = new() { Packing = DataPacking.Pairs, Train = [new() { Path = "pairs.jsonl" }] };
        ScheduledAnswersOptions options = new();
        Assert.Empty(options.ValidateFor(model, pairs));
        Assert.Contains(
            "set data.packing to 'pairs'", options.ValidateFor(model, pairs with { Packing = DataPacking.Crops }).Single().Message);
        Assert.Contains(
            "data.endOfDocument is 'none'", options.ValidateFor(model, pairs with { EndOfDocument = EndOfText.None }).Single().Message);
    }

    private static int[] Said(LanguageModel model, int[] prompt) => [.. new TextGenerator(model, ByteTokenizer.Instance, CPU).Generate(
        prompt, new GenerationOptions { Tokens = Length, Sampling = new() { Greedy = true } })];

    private static Batch Rows(IReadOnlyList<(int[] Prompt, int[] Answer)> rows, int end)
    {
        int columns = rows.Max(row => row.Prompt.Length + row.Answer.Length);
        long[] inputs = new long[rows.Count * columns], targets = new long[rows.Count * columns];
        Array.Fill(targets, Batch.Ignored);
        foreach ((int index, (int[] prompt, int[] answer)) in rows.Index())
        {
            int[] text = [.. prompt, .. answer, end];
            for (int i = 0; i < text.Length - 1; i++) inputs[index * columns + i] = text[i];
            for (int i = prompt.Length; i < text.Length; i++) targets[index * columns + i - 1] = text[i];
        }
        return new(inputs, targets, rows.Count, columns);
    }
}
