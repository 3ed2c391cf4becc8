using System.Text.Json;
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Records;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Tasks;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests.Tasks;

public sealed class TaskEvaluatorTests : IDisposable
{
    private readonly TemporaryDirectory folder = new();
    private readonly LanguageModel model = Build();

    [Fact]
    public void The_likeliest_choice_is_taken_by_its_sum_and_by_its_length()
    {
        string[] questions = ["abc", "the cat sat", "q", "xyz xyz"];
        string[][] choices = [["one", "a much longer answer"], ["b", "cc", "ddd"], ["no", "yes"], ["12", "3456789"]];
        int[] targets = [0, 2, 1, 0];
        TaskDefinition task = Choices(Enumerable.Range(0, 4).Select(i =>
            $$"""{"q": "{{questions[i]}}", "options": ["{{string.Join("\", \"", choices[i])}}"], "answer": {{targets[i]}}}"""));

        TaskReport report = Evaluate(task, new());

        double[] sums = new double[4], lengths = new double[4];
        for (int i = 0; i < 4; i++)
        {
            double[] scores = [.. choices[i].Select(choice => LogLikelihood(questions[i], " " + choice))];
            sums[i] = Array.IndexOf(scores, scores.Max()) == targets[i] ? 1 : 0;
            double[] scaled = [.. scores.Zip(choices[i], (score, choice) => score / choice.Length)];
            lengths[i] = Array.IndexOf(scaled, scaled.Max()) == targets[i] ? 1 : 0;
        }
        Assert.Equal((4, 0), (report.Questions, report.Shots));
        Assert.Equal(["acc", "acc_norm"], report.Figures.Select(figure => figure.Name));
        Assert.Equal([sums.Average(), lengths.Average()], report.Figures.Select(figure => figure.Value));
        // The error of a share p of n is √(p(1 − p)/(n − 1)).
        double p = sums.Average();
        Assert.Equal(Math.Sqrt(p * (1 - p) / 3), report.Figures[0].StandardError, 1e-12);
    }

    [Fact]
    public void A_cloze_is_right_where_greedy_decoding_writes_it_and_its_perplexity_is_of_whole_answers()
    {
        // A prompt after which the likeliest byte is a letter.
        (string prompt, string next) = Enumerable.Range(0, 26 * 26).Select(i => $"{(char)('a' + i / 26)}{(char)('a' + i % 26)}:")
            .Select(text => (text, Likeliest(text))).First(pair => char.IsAsciiLetterOrDigit(pair.Item2[0]));
        TaskDefinition task = new()
        {
            Task = "cloze", OutputType = TaskKind.Loglikelihood, DocToText = "{{text}}", DocToTarget = JsonElement.Parse("\"last\""),
            Data = [Write("cloze.jsonl", $$"""{"text": "{{prompt}}", "last": "{{next}}"}""", """{"text": "more words ", "last": "here"}""")],
        };

        TaskReport report = Evaluate(task, new());

        double first = LogLikelihood(prompt, next), second = LogLikelihood("more words", " here");
        Assert.Equal(["perplexity", "acc"], report.Figures.Select(figure => figure.Name));
        Assert.Equal(0.5, report.Figures[1].Value);
        Assert.Equal(Math.Exp(-(first + second) / 2), report.Figures[0].Value, 1e-6 * report.Figures[0].Value);
        Assert.Equal(
            report.Figures[0].Value * Math.Abs(first - second) / 2, report.Figures[0].StandardError, 1e-6 * report.Figures[0].Value);
    }

    [Fact]
    public void Rows_of_different_lengths_score_as_each_alone()
    {
        (string, string)[] requests = [("a", " b"), ("some longer context", " and its end"), ("ab ", "c"), ("x", "yyyyyyyyyy")];
        ContinuationScorer scorer = new(model, ByteTokenizer.Instance);

        Continuation[] together = scorer.Score(requests, _ => text => new(text));

        foreach ((int i, (string context, string text)) in requests.Index())
        {
            Assert.Equal(LogLikelihood(context.TrimEnd(), context[context.TrimEnd().Length..] + text), together[i].LogLikelihood, 1e-4);
            Assert.Equal(together[i].LogLikelihood, scorer.Score([(context, text)], _ => wrong => new(wrong))[0].LogLikelihood, 1e-4);
        }
    }

    [Fact]
    public void A_context_that_is_too_long_loses_its_beginning()
    {
        ContinuationScorer scorer = new(model, ByteTokenizer.Instance);
        string context = new('a', 5 * model.ContextLength), kept = new('a', model.ContextLength + 1 - 3);

        Continuation[] scores = scorer.Score([(context, "bcd"), (kept, "bcd")], _ => text => new(text));

        Assert.Equal(scores[1].LogLikelihood, scores[0].LogLikelihood, 1e-5);
        Assert.Contains("and the model reads", Assert.Throws<UserException>(
            () => scorer.Score([("a", new string('b', model.ContextLength + 1))], _ => text => new(text))).Message);
    }

    [Fact]
    public void Logits_that_are_not_numbers_are_an_error()
    {
        using (no_grad()) model.parameters().First().fill_(double.NaN);
        TaskDefinition task = Choices(["""{"q": "abc", "options": ["no", "yes"], "answer": 0}"""]);
        Assert.Contains("logits are not finite", Assert.Throws<LogitsException>(() => Evaluate(task, new())).Message);
    }

    [Fact]
    public void A_written_answer_ends_before_a_stop_and_is_compared_as_SQuAD_does()
    {
        using LanguageModel talkative = TinyModel.Build(dropout: 0);
        TextGenerator generator = new(talkative, ByteTokenizer.Instance, CPU);
        GenerationOptions greedy = new() { Tokens = 6, Sampling = new() { Greedy = true } };
        // A prompt whose continuation has words before its last character.
        (string prompt, string whole) = Enumerable.Range(0, 26 * 26).Select(i => $"{(char)('a' + i / 26)}{(char)('a' + i % 26)}")
            .Select(text => (text, generator.Generate(text, greedy)))
            .First(pair => AnswerText.Normalized(Before(pair.Item2)).Length > 0 && AnswerText.Normalized(pair.Item2[^1..]).Length > 0);
        TaskDefinition task = new()
        {
            Task = "write", OutputType = TaskKind.GenerateUntil, DocToText = "{{q}}", DocToTarget = JsonElement.Parse("\"{{a}}\""),
            GenerationKwargs = new() { MaxGenToks = 6, Until = [whole[^1..]] },
            Data = [Write("write.jsonl", $$"""{"q": "{{prompt}}", "a": {{JsonSerializer.Serialize(Before(whole))}}}""")],
        };
        double[] Figures(TaskDefinition asked) =>
            [.. new TaskEvaluator(talkative, ByteTokenizer.Instance).Evaluate(asked, new()).Figures.Select(figure => figure.Value)];

        Assert.Equal([1, 1, 1], Figures(task));
        Assert.Equal(0, Figures(task with { GenerationKwargs = new() { MaxGenToks = 6, Until = [] } })[0]);
        Assert.Equal("cat sat on mat", AnswerText.Normalized(" The cat, sat on\na mat!"));
        Assert.Equal(2.0 * 2 / (3 + 2), AnswerText.F1("the red red cat", "a red cat"), 1e-12);
        Assert.Equal((1, 0, 0), (AnswerText.F1("", "the"), AnswerText.F1("x", ""), AnswerText.F1("x", "y")));

        static string Before(string text) => text[..text.IndexOf(text[^1])];
    }

    [Fact]
    public void Examples_are_the_same_in_every_run_others_for_each_question_and_never_the_question_itself()
    {
        TaskDefinition task = Choices(Enumerable.Range(0, 9).Select(i => $$"""{"q": "q{{i}}", "options": ["no", "yes"], "answer": "yes"}""")) with
        {
            Description = "Answer. ", FewshotDelimiter = "; ",
        };
        IReadOnlyList<DataRecord> records = DataRecord.ReadAll(task.Data);
        string[] Prompts(TaskDefinition asked, long seed, int shots = 3) =>
            [.. new TaskPrompts(asked, records, shots, seed).Of(records).Select(question => question.Prompt)];

        string[] texts = Prompts(task, 7);

        for (int i = 0; i < texts.Length; i++)
        {
            Assert.Matches($"^Answer\\. (q\\d yes; ){{3}}q{i}$", texts[i]);
            Assert.Equal(2, texts[i].Split($"q{i}").Length); // once, as the question
        }
        Assert.True(texts.Select(text => text[..20]).Distinct().Count() > 2);
        Assert.NotEqual(texts, Prompts(task, 8));
        Assert.Equal(texts, Prompts(task, 7));
        Assert.Equal(
            ["Answer. q1 yes; q2 yes; q0", "Answer. q0 yes; q2 yes; q1", "Answer. q0 yes; q1 yes; q2"],
            Prompts(task with { FewshotConfig = new() { Sampler = TaskSampling.First } }, 7, 2)[..3]);
        Assert.Contains("9 examples before each question are asked for, and there are 9 records", Assert.Throws<UserException>(
            () => new TaskPrompts(task, records, 9, 7)).Message);
    }

    [Theory]
    [InlineData(TaskSampling.Drawn)]
    [InlineData(TaskSampling.First)]
    public void A_question_is_not_its_own_example_where_another_split_has_it_too(TaskSampling sampler)
    {
        TaskDefinition task = Choices(
            Enumerable.Range(0, 3).Select(i => $$"""{"q": "q{{i}}", "options": ["no", "yes"], "answer": "yes"}""")) with
        {
            TestSplit = "validation", FewshotSplit = "train", FewshotDelimiter = "; ", FewshotConfig = new() { Sampler = sampler },
        };
        IReadOnlyList<DataRecord> records = DataRecord.ReadAll(task.Data);

        IReadOnlyList<TaskQuestion> questions = new TaskPrompts(task, records, 3, 7).Of(records);

        Assert.All(questions, (question, i) => Assert.Matches($"^(q[^{i}] yes; ){{2}}q{i}$", question.Prompt));
    }

    /// <summary>random.Random(seed).sample of Python 3.13, one after another.</summary>
    [Theory]
    [InlineData(1234, "7 1 0|1 0 5 6 7 4 8 3 2|31 807 16 354 663|39 30 49 29 9 5")]
    [InlineData(0, "6 9 0|4 7 3 2 6 5 8 0 1|288 143 773 97 633|16 34 45 38 9 19")]
    [InlineData(7, "5 2 6|0 1 6 4 8 2 3 5 7|38 88 444 428 71|15 5 35 27 3 36")]
    [InlineData((1L << 40) + 3, "3 0 1|4 6 1 3 8 2 7 5 0|812 485 343 861 552|48 23 6 2 35 29")]
    public void Examples_are_drawn_as_Python_draws(long seed, string expected)
    {
        PythonRandom random = new(seed);
        Assert.Equal(expected, string.Join('|', ((int, int)[])[(10, 3), (9, 9), (1000, 5), (50, 6)] is var draws
            ? draws.Select(draw => string.Join(' ', random.Sample(draw.Item1, draw.Item2))) : []));
    }

    /// <summary>Winogrande: a gap's fillings are read, and the end is judged.</summary>
    [Fact]
    public void Choices_that_are_questions_are_followed_by_the_same_answer()
    {
        TaskDefinition task = new()
        {
            Task = "gap", OutputType = TaskKind.MultipleChoice, DocToText = "{{answer|int - 1}}", NumFewshot = 1,
            DocToTarget = JsonElement.Parse("\"{{s[s.index('_') + 1:].strip()}}\""),
            DocToChoice = JsonElement.Parse("\"{{[s[:s.index('_')] + a, s[:s.index('_')] + b]}}\""),
            Data = [Write("gap.jsonl", """{"s": "I saw _ run.", "a": "x", "b": "yy", "answer": "2"}""", """{"s": "_ is.", "a": "x", "b": "y", "answer": "1"}""")],
        };
        IReadOnlyList<DataRecord> records = DataRecord.ReadAll(task.Data);

        TaskQuestion question = new TaskPrompts(task, records, 1, 1).Of(records)[0];

        Assert.Equal([("x is.\n\nI saw x", " run."), ("x is.\n\nI saw yy", " run.")], question.Requests);
        Assert.Equal([1], question.RightChoices);
        Assert.InRange(Evaluate(task, new()).Figures[0].Value, 0, 1);
    }

    public void Dispose()
    {
        model.Dispose();
        folder.Dispose();
    }

    private TaskReport Evaluate(TaskDefinition task, TaskOptions options) =>
        new TaskEvaluator(model, ByteTokenizer.Instance).Evaluate(task, options);

    private TaskDefinition Choices(IEnumerable<string> lines) => new()
    {
        Task = "choose", OutputType = TaskKind.MultipleChoice, Data = [Write("choose.jsonl", [.. lines])], DocToText = "{{q}}",
        DocToTarget = JsonElement.Parse("\"answer\""), DocToChoice = JsonSerializer.SerializeToElement("options"),
    };

    private string Write(string name, params string[] lines)
    {
        string path = folder.File(name);
        File.WriteAllLines(path, lines);
        return path;
    }

    // Token by token from the model's own logits.
    private double LogLikelihood(string context, string text)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable inference = inference_mode();
        int before = ByteTokenizer.Instance.Encode(context).Length;
        long[] ids = [.. ByteTokenizer.Instance.Encode(context + text).Select(id => (long)id)];
        model.eval();
        Tensor logs = model.call(new ModelInput(tensor(ids).unsqueeze(0))).squeeze(0).log_softmax(-1);
        return Enumerable.Range(before, ids.Length - before).Sum(at => logs[at - 1, ids[at]].ToDouble());
    }

    private string Likeliest(string context)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        model.eval();
        Tensor ids = tensor([.. ByteTokenizer.Instance.Encode(context).Select(id => (long)id)]).unsqueeze(0);
        return $"{(char)model.call(new ModelInput(ids))[0, -1].argmax().ToInt64()}";
    }

    private static LanguageModel Build()
    {
        manual_seed(5);
        return new DecoderOptions { Dim = 16, Layers = 2, ContextLength = 48, Attention = new MultiHeadOptions { Heads = 2 } }.Build(256);
    }
}
