using System.Globalization;
using TorchSharp;
using Trainer.Checkpoints;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Preparation;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation;
using Trainer.Evaluation.Scheduled;
using Trainer.Inference;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Attention.Patterns;
using static TorchSharp.torch;

namespace Trainer.Training.Tests.Evaluators;

/// <summary>What measures tell of a decoder that reads the first tokens of a row together, against a token at a time.</summary>
public sealed class PrefixEvaluatorTests : IDisposable
{
    private const int Prefix = 5;

    private static readonly ScheduledPasskeyOptions Passkeys = new()
    {
        Lengths = [20, 30], Trials = 3, Digits = 1, Depths = [0, 1], Introduction = "", Filler = ["mat "], Needle = "key {0} ",
        Question = "key ",
    };

    private readonly TinyRun tiny = new();
    private readonly RecordingSink sink = new();

    public PrefixEvaluatorTests() => tiny.Recipe = tiny.Recipe with
    {
        Model = (DecoderOptions)tiny.Recipe.Model with { Attention =
            new MultiHeadOptions { Heads = 2, Pattern = new PrefixOptions { PrefixLength = Prefix } } },
    };

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void Perplexity_is_of_every_token_behind_the_prefix_once_from_as_many_before_it_as_the_window_lets()
    {
        const int window = 12, stride = window - Prefix + 1;
        Train(new ScheduledPerplexityOptions { Windows = [window] });
        using PreparedData data = tiny.Prepare();
        using LanguageModel model = Trained();
        long[] text = new long[data.Validation.Length];
        data.Validation.Read(0, text);

        List<double> losses = [];
        for (int start = 0; losses.Count < text.Length - Prefix; start += stride)
            // All that the windows before did not score: a window of n tokens predicts those behind the prefix, and the one after it.
            for (int at = start + Prefix; at < Math.Min(start + window + 1, text.Length); at++)
                losses.Add(Loss(model, text[start..at], text[at]));

        Assert.Equal(text.Length - Prefix, losses.Count);
        Assert.Equal(losses.Average(), Figure($"loss/window{window}-stride{stride}"), 1e-4);
        Assert.Contains(sink.Measures[^1].Lines, line => line.EndsWith($"over {losses.Count} tokens", StringComparison.Ordinal));
    }

    [Fact]
    public void Accuracy_is_of_the_targets_behind_the_prefix_of_each_row()
    {
        Train(new ScheduledAccuracyOptions { Batches = 1, Top = 2 });
        using PreparedData data = tiny.Prepare();
        using LanguageModel model = Trained();
        (int right, int count) = (0, 0);
        // Rows of the same text without a prefix: every place has a target there.
        foreach (Batch batch in ValidationSet.Create(data, tiny.Recipe.Data, TinyRun.Context, tiny.Recipe.Training.MicroBatch, 2))
            for (int row = 0; row < batch.Rows; row++)
                for (int place = Prefix - 1; place < batch.Columns; place++, count++)
                {
                    long[] seen = [.. batch.Inputs[(row * batch.Columns)..(row * batch.Columns + place + 1)]];
                    if (Likeliest(model, seen) == batch.Targets[row * batch.Columns + place]) right++;
                }
        Assert.Equal((double)right / count, Figure("accuracy"), 1e-9);
        Assert.Contains(sink.Measures[^1].Lines, line =>
            line.Contains(string.Create(CultureInfo.InvariantCulture, $" over {count} tokens in "), StringComparison.Ordinal));
    }

    [Fact]
    public void Passkeys_are_looked_for_behind_prompts_that_are_read_as_generation_reads_them()
    {
        Train(Passkeys);
        using (LanguageModel model = Trained())
        {
            PasskeyReport report = new PasskeyEvaluator(model, ByteTokenizer.Instance).Evaluate(Passkeys.ToOptions());
            Assert.Equal(report.Accuracy, Figure("found"));
            Assert.Equal(report.Cells.Select(cell => (double)cell.Found / cell.Trials),
                sink.Measures[^1].Figures.Where(figure => figure.Name == "foundByDepth").Select(figure => figure.Value));
        }

        Measure(Passkeys with { Lengths = [14], Filler = ["a filler that does not fit. "] },
            new ScheduledSamplesOptions { Prompts = ["the ", "the cat"] }, new ScheduledPerplexityOptions { Windows = [8] });
        tiny.Recipe = tiny.Recipe with { Model = (
            DecoderOptions)tiny.Recipe.Model with { Attention =
            new MultiHeadOptions { Heads = 2, Pattern = new PrefixOptions { PrefixLength = 13 } } } };
        var error = Assert.Throws<ConfigurationException>(() => tiny.Train("short"));
        Assert.Contains("evaluation.measures.0.lengths: a passkey prompt of 14 tokens is too short: it has 10, and the model reads 13 " +
            "together before it writes (attention pattern 'prefix'); ask for longer ones", error.Message);
        Assert.Contains("evaluation.measures.1.prompts.0: the prompt has 4 tokens, but the model reads a prefix of 13 together before " +
            "it writes", error.Message);
        Assert.Contains("evaluation.measures.2.windows: ", tiny.ConfigurationError());
    }

    [Fact]
    public void Samples_are_what_generation_writes()
    {
        ScheduledSamplesOptions options = new() { Prompts = ["the cat "], Tokens = 30 }; // past the context, where the prefix is made anew
        Train(options);
        using LanguageModel model = Trained();
        string expected = string.Concat(new TextGenerator(model, ByteTokenizer.Instance, CPU).Stream(options.Prompts[0], new()
        {
            Tokens = options.Tokens, Sampling = new() { Temperature = options.Temperature, TopP = options.TopP, Seed = tiny.Recipe.Seed },
        }));
        Assert.Equal(expected, Assert.Single(sink.Measures[^1].Texts).Text);
    }

    private void Train(ScheduledEvaluatorOptions measure)
    {
        Measure(measure with { Every = 0 });
        tiny.Train(sink: sink);
    }

    private void Measure(params ScheduledEvaluatorOptions[] measures) =>
        tiny.Recipe = tiny.Recipe with { Evaluation = tiny.Recipe.Evaluation with { Measures = measures } };

    private double Figure(string key) => sink.Measures[^1].Figures.Single(figure => figure.Key == key).Value;

    private LanguageModel Trained() => Checkpoint.Open(Path.Combine(tiny.RunPath(), "checkpoints", "last")).LoadModel(CPU);

    private static double Loss(LanguageModel model, long[] seen, long next) => -Next(model, seen)[next];

    private static int Likeliest(LanguageModel model, long[] seen) => Next(model, seen).Index().MaxBy(entry => entry.Item).Index;

    /// <summary>Log-probabilities of the token that follows.</summary>
    private static float[] Next(LanguageModel model, long[] seen)
    {
        model.eval();
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        Tensor logits = model.call(tensor(seen, [1, seen.Length]));
        return logits.select(1, seen.Length - 1).log_softmax(-1).cpu().contiguous().data<float>().ToArray();
    }
}
