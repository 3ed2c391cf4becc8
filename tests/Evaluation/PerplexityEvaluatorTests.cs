using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests;

public sealed class PerplexityEvaluatorTests
{
    public static TheoryData<int, int, int, bool, bool> Cuts()
    {
        TheoryData<int, int, int, bool, bool> cuts = [];
        foreach (int length in (int[])[2, 3, 11, 12, 13, 25, 40])
            foreach (var (window, stride) in ((int, int)[])[(1, 1), (4, 1), (4, 3), (4, 4), (7, 5), (12, 6), (12, 12), (100, 37)])
                cuts.Add(length, window, stride, false, false);
        foreach (var (length, window, stride) in
            ((int, int, int)[])[(1, 4, 4), (2, 4, 2), (13, 4, 1), (25, 12, 5), (24, 12, 12), (9, 100, 100)])
        {
            cuts.Add(length, window, stride, true, false);
            cuts.Add(length, window, stride, true, true);
        }
        return cuts;
    }

    [Theory]
    [MemberData(nameof(Cuts))]
    public void It_equals_scoring_one_token_at_a_time(int length, int window, int stride, bool beginning, bool everyWindow)
    {
        using LanguageModel model = Model();
        PerplexityOptions options = new()
        {
            Window = window, Stride = stride, Bins = 100, Beginning = beginning ? new(2, everyWindow) : null,
        };
        int[] tokens = Tokens(length, seed: 3);

        PerplexityReport report = Evaluator(model).Evaluate(TokenText.Of(tokens), options);

        var naive = NaiveEvaluation.Score(model, tokens, options);
        Assert.Equal(beginning ? length : length - 1, report.Tokens);
        Assert.Equal(naive.Sum(score => score.Loss), report.NegativeLogLikelihood, 2e-4 * length);
        Assert.InRange(report.Correct, 0, report.Tokens);
        Assert.Equal(report.Tokens, report.Bytes); // a token of this tokenizer is a byte
        Assert.Equal(Math.Exp(report.NegativeLogLikelihood / report.Tokens), report.Perplexity);
        Assert.Equal(report.NegativeLogLikelihood / Math.Log(2) / report.Bytes, report.BitsPerByte);
        Assert.Equal((window, stride, (int?)(beginning ? 2 : null)), (report.Window, report.Stride, report.BeginningToken));
    }

    [Theory]
    [InlineData(40, 12, 8, false)]
    [InlineData(40, 9, 3, false)]
    [InlineData(40, 5, 1, true)]
    [InlineData(6, 12, 8, false)]
    [InlineData(5, 12, 4, true)]
    public void Behind_a_prefix_each_token_is_scored_once_and_none_that_the_model_has_seen(
        int length, int window, int stride, bool beginning)
    {
        const int prefix = 5;
        using LanguageModel model = TinyModel.Build(dropout: 0, prefix);
        model.eval();
        PerplexityOptions options = new() { Window = window, Stride = stride, Prefix = prefix, Beginning = beginning ? new(2) : null };
        int[] tokens = Tokens(length, seed: 3);

        PerplexityReport report = Evaluator(model).Evaluate(TokenText.Of(tokens), options);

        int unscored = prefix - (beginning ? 1 : 0);
        Assert.Equal(length - unscored, report.Tokens);
        Assert.Equal(prefix, report.Prefix);
        Assert.Equal(NaiveEvaluation.Score(model, tokens, options).Skip(prefix - 1).Sum(score => score.Loss), report.NegativeLogLikelihood,
            2e-4 * length);
    }

    [Fact]
    public void A_prefix_that_leaves_tokens_unscored_is_refused()
    {
        using LanguageModel model = TinyModel.Build(dropout: 0, prefix: 5);
        PerplexityOptions options = new() { Window = 12, Stride = 8, Prefix = 5 };
        PerplexityReport Measure(PerplexityOptions own, int length = 30) => Evaluator(model).Evaluate(TokenText.Of(Tokens(length, 1)), own);
        Assert.Contains(
            "stride: stride (9) must be at most 8, or tokens would not be scored: of each window of 12 the model reads the first 5 " +
                "together (attention pattern 'prefix') and cannot be asked for them",
            Assert.Throws<ConfigurationException>(() => Measure(options with { Stride = 9 })).Message);
        Assert.Contains(
            "window: window (4) must be at least the 5 tokens that the model reads together (attention pattern 'prefix'), or no token " +
                "is predicted; use 5 or more",
            Assert.Throws<ConfigurationException>(() => Measure(options with { Window = 4, Stride = 1 })).Message);
        Assert.Equal(
            "the model reads 5 tokens together (attention pattern 'prefix') and cannot be asked for them, but prefix is 1; set it to 5",
            Assert.Throws<UserException>(() => Measure(options with { Prefix = 1 })).Message);
        Assert.Equal(
            "there is nothing to score: the model reads 5 tokens together before it predicts any (attention pattern 'prefix'), and the " +
                "text has 5; give a longer text",
            Assert.Throws<UserException>(() => Measure(options, length: 5)).Message);
    }

    [Theory]
    [InlineData(12, 12)]
    [InlineData(8, 3)]
    public void The_loss_by_position_is_by_what_a_token_was_predicted_from(int window, int stride)
    {
        using LanguageModel model = Model();
        PerplexityOptions options = new() { Window = window, Stride = stride, Bins = 4 };
        int[] tokens = Tokens(50, seed: 9);

        PerplexityReport report = Evaluator(model).Evaluate(TokenText.Of(tokens), options);

        var naive = NaiveEvaluation.Score(model, tokens, options);
        Assert.Equal(report.Tokens, report.ByPosition.Sum(bin => bin.Tokens));
        Assert.All(report.ByPosition, bin =>
        {
            double[] there = [.. naive.Where(score => score.Context >= bin.From && score.Context <= bin.To).Select(score => score.Loss)];
            Assert.Equal(there.Length, bin.Tokens);
            Assert.Equal(there.Average(), bin.Loss, 1e-3);
        });
        Assert.Equal([.. Enumerable.Range(0, 4).Select(i => (i * window / 4 + 1, (i + 1) * window / 4))],
            report.ByPosition.Select(bin => (bin.From, bin.To)));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public void Documents_are_scored_one_by_one_and_their_first_tokens_only_after_a_beginning(bool beginning, bool everyWindow)
    {
        using LanguageModel model = Model();
        IReadOnlyList<int>[] documents = [Tokens(30, 1), Tokens(1, 2), Tokens(12, 3), Tokens(13, 4), Tokens(5, 5)];
        PerplexityOptions options =
            new() { Window = 12, Stride = 7, Documents = true, Beginning = beginning ? new(1, everyWindow) : null };

        PerplexityReport report = Evaluator(model).Evaluate(TokenText.Of(documents), options);

        double expected = documents.SelectMany(document => NaiveEvaluation.Score(model, document, options)).Sum(score => score.Loss);
        Assert.Equal(expected, report.NegativeLogLikelihood, 0.02);
        Assert.Equal(beginning ? 61 : 61 - 5, report.Tokens);
        Assert.Equal((5, true), (report.Documents, report.DocumentsApart));
    }

    // The published mistakes: a mean of the windows' means; tokens at the joints left out; tokens scored twice where windows overlap; and
    // only the last tokens of the first window scored, as of every other.
    [Fact]
    public void It_is_no_mean_of_means_leaves_out_no_joint_and_counts_no_token_twice()
    {
        using LanguageModel model = Model();
        int[] tokens = Tokens(28, seed: 6);
        PerplexityOptions disjoint = PerplexityOptions.Disjoint(12), sliding = new() { Window = 12, Stride = 4 };

        PerplexityReport apart = Evaluator(model).Evaluate(TokenText.Of(tokens), disjoint);
        PerplexityReport overlapping = Evaluator(model).Evaluate(TokenText.Of(tokens), sliding);

        var scores = NaiveEvaluation.Score(model, tokens, disjoint);
        double meanOfMeans = scores.Chunk(12).Average(window => window.Average(score => score.Loss)); // windows of 12, 12 and 3
        double withoutJoints = scores.Where((_, i) => i % 12 != 0).Average(score => score.Loss);
        Assert.Equal((27, 27), (apart.Tokens, overlapping.Tokens));
        Assert.Equal(3, apart.Windows);
        Assert.Equal(scores.Average(score => score.Loss), apart.MeanLoss, 1e-3);
        Assert.NotEqual(meanOfMeans, apart.MeanLoss, 1e-2);
        Assert.NotEqual(withoutJoints, apart.MeanLoss, 1e-2);
        var slid = NaiveEvaluation.Score(model, tokens, sliding);
        Assert.Equal(slid.Average(score => score.Loss), overlapping.MeanLoss, 1e-3);
        Assert.NotEqual(slid.Skip(12 - 4).Average(score => score.Loss), overlapping.MeanLoss, 1e-2);
        Assert.NotEqual(apart.MeanLoss, overlapping.MeanLoss, 1e-2); // windowing alone moves the figure: both are reported with it
    }

    [Fact]
    public void It_agrees_with_the_loss_that_training_reports_on_the_same_rows()
    {
        using LanguageModel model = Model();
        int[] tokens = Tokens(3 * TinyModel.Context + 1, seed: 8);
        long[] all = [.. tokens.Select(id => (long)id)];
        Batch rows = new(all[..^1], all[1..], 3, TinyModel.Context);

        LossReport training = LossEvaluator.Evaluate(model, [rows], CPU);
        PerplexityReport report = Evaluator(model).Evaluate(TokenText.Of(tokens), PerplexityOptions.Disjoint(TinyModel.Context));

        Assert.Equal(training.Tokens, report.Tokens);
        Assert.Equal(training.NegativeLogLikelihood, report.NegativeLogLikelihood, 1e-3);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Dropout_is_off_and_the_model_is_left_in_its_mode(bool training)
    {
        using LanguageModel model = TinyModel.Build(dropout: 0.5);
        model.train(training);
        PerplexityReport Measure() => Evaluator(model).Evaluate(TokenText.Of(Tokens(30, 1)), PerplexityOptions.Disjoint(12));

        Assert.Equal(Measure().NegativeLogLikelihood, Measure().NegativeLogLikelihood);
        Assert.Equal(training, model.training);
    }

    [Fact]
    public void Live_tensors_stay_flat()
    {
        using LanguageModel model = Model();
        PerplexityReport Measure() => Evaluator(model).Evaluate(TokenText.Of(Tokens(200, 1)), new() { Window = 12, Stride = 5 });
        Measure();
        Finalizers.Run();
        long live = LiveTensors.Count();
        for (int i = 0; i < 5; i++) Measure();

        Assert.Equal(live, LiveTensors.Count());
    }

    [Theory]
    [InlineData(4, 5, "stride: stride (5) must be at most window (4), or tokens between windows would not be scored; use --stride 4 for " +
        "windows that do not overlap")]
    [InlineData(4, 0, "stride: stride (0) must be 1 or more")]
    [InlineData(0, 1, "window: window (0) must be 1 or more")]
    public void An_option_out_of_range_is_refused_by_its_name(int window, int stride, string message)
    {
        using LanguageModel model = Model();
        var error = Assert.Throws<ConfigurationException>(
            () => Evaluator(model).Evaluate(TokenText.Of(Tokens(5, 1)), new() { Window = window, Stride = stride }));
        Assert.Equal($"evaluation: 1 problem\n  {message}", error.Message);
    }

    [Fact]
    public void Texts_that_cannot_be_scored_are_refused()
    {
        using LanguageModel model = Model();
        void Fails(string message, int[] tokens, BeginningOfSequence? beginning = null)
        {
            var error = Assert.Throws<UserException>(
                () => Evaluator(model).Evaluate(TokenText.Of(tokens), new() { Window = 4, Stride = 4, Beginning = beginning }));
            Assert.Equal(message, error.Message);
        }

        Fails("there is nothing to score: the text has 1 tokens, and the first of them is not predicted from anything; give a longer " +
            "text or a token before it (--bos)", [7]);
        Fails("there is nothing to score: the text has no tokens", [], new(1));
        Fails("token 2 is 256, but the model's token ids are 0 to 255", [7, 3, 256, 4]);
        Fails("token 0 is -1, but the model's token ids are 0 to 255", [-1, 3]);
        Fails("the beginning token is 256, but the model's token ids are 0 to 255", [1, 3], new(256));
    }

    [Fact]
    public void Only_decoders_predict_each_token_from_those_before()
    {
        using LanguageModel model = TinyModel.BuildEncoder();
        var error = Assert.Throws<UserException>(
            () => Evaluator(model).Evaluate(TokenText.Of(Tokens(5, 1)), PerplexityOptions.Disjoint(4)));
        Assert.StartsWith("windows of a text are for decoders", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Logits_that_are_not_numbers_are_an_error()
    {
        using LanguageModel model = Model();
        using (no_grad()) model.parameters().First().fill_(double.NaN);
        var error = Assert.Throws<LogitsException>(
            () => Evaluator(model).Evaluate(TokenText.Of(Tokens(5, 1)), PerplexityOptions.Disjoint(4)));
        Assert.Contains("not finite", error.Message, StringComparison.Ordinal);
    }

    private static LanguageModel Model()
    {
        LanguageModel model = TinyModel.Build(dropout: 0);
        model.eval();
        return model;
    }

    private static PerplexityEvaluator Evaluator(LanguageModel model) => new(model, ByteTokenizer.Instance);

    private static int[] Tokens(int count, int seed)
    {
        Random random = new(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(256))];
    }
}
