using Trainer.Data;
using Trainer.Evaluation.Scheduled;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Patches;
using Trainer.Models.Positions;

namespace Trainer.Training.Tests.Evaluators;

public sealed class EvaluatorValidationTests : IDisposable
{
    private readonly TinyRun tiny = new();

    public void Dispose() => tiny.Dispose();

    [Fact]
    public void All_mistakes_are_told_at_once_with_their_paths()
    {
        Measure(
            new ScheduledPerplexityOptions { Windows = [16, 8, 16], Stride = 9 },
            new ScheduledPerplexityOptions(),
            new ScheduledTranslationOptions { Name = "a/b" },
            new ScheduledPasskeyOptions { Lengths = [64], Needle = "no place" });

        string message = tiny.ConfigurationError();

        Assert.StartsWith("test: 6 problems", message);
        Assert.Contains("evaluation.measures.0.stride: stride (9) must be at most the window (8), or tokens between windows would not " +
            "be scored; leave it out for windows that do not overlap", message);
        Assert.Contains("evaluation.measures.0.windows: 16 is given twice; name each window once", message);
        Assert.Contains("evaluation.measures.1.name: 'perplexity' is the name of an earlier measure, whose curves would be mixed with " +
            "these; give this one another name", message);
        Assert.Contains("evaluation.measures.2.name: 'a/b' must be made of letters, digits, '-', '_' and '.', for it names curves",
            message);
        Assert.Contains("evaluation.measures.2.type: 'translation' is for models of architecture 'encoder-decoder', which read one text " +
            "and write another; use 'perplexity' or 'accuracy'", message);
        Assert.Contains("evaluation.measures.3.needle: needle (\"no place\") must have {0} where the passkey stands", message);
    }

    [Fact]
    public void Learned_positions_end_where_the_context_does()
    {
        tiny.Recipe = tiny.Recipe with { Model = (DecoderOptions)tiny.Recipe.Model with { Position = new LearnedOptions() } };
        Measure(new ScheduledPerplexityOptions { Windows = [17] }, new ScheduledPasskeyOptions { Lengths = [300] });

        string message = tiny.ConfigurationError();

        Assert.Contains("evaluation.measures.0.windows: 17 positions are more than the 16 that the model learns; use at most " +
            "model.contextLength, or another model.position", message);
        Assert.Contains("evaluation.measures.1.lengths: 300 positions are more than the 16", message);
    }

    [Fact]
    public void Texts_in_one_piece_are_for_decoders()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = new EncoderOptions { Dim = 16, Layers = 1, ContextLength = 16, Attention = new MultiHeadOptions { Heads = 2 } },
            Data = tiny.Recipe.Data with { Objective = DataObjective.Masked },
        };
        Measure(new ScheduledPerplexityOptions(), new ScheduledPasskeyOptions { Lengths = [300] }, new ScheduledAccuracyOptions());

        string message = tiny.ConfigurationError();

        Assert.StartsWith("test: 2 problems", message);
        Assert.Contains("evaluation.measures.0.type: 'perplexity' is for decoders, which predict each token from those before it; ",
            message);
        Assert.Contains("evaluation.measures.1.type: 'passkey' is for decoders", message);
    }

    [Fact]
    public void Accuracy_is_not_for_preferences()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Data = new DataOptions { Train = [new SourceOptions { Path = tiny.TextPath, Format = SourceFormat.Preferences }] },
        };
        Measure(new ScheduledAccuracyOptions());

        Assert.Contains("evaluation.measures.0.type: 'accuracy' is of tokens that are to be written, and those of rejected answers are not",
            tiny.ConfigurationError());
    }

    [Fact]
    public void Pictures_and_time_series_are_no_texts()
    {
        tiny.Recipe = tiny.Recipe with
        {
            Model = (DecoderOptions)tiny.Recipe.Model with
            {
                Input = new SeriesPatchOptions { Length = 8, Patch = 4, Stride = 2, Horizon = 3 },
            },
        };
        Measure(new ScheduledPerplexityOptions(), new ScheduledPasskeyOptions { Lengths = [300] });

        string message = tiny.ConfigurationError();

        Assert.Contains("evaluation.measures.0.type: 'perplexity' measures texts, and this model reads pictures or time series", message);
        Assert.Contains("evaluation.measures.1.type: 'passkey' measures texts, and this model reads pictures or time series", message);
    }

    private void Measure(params ScheduledEvaluatorOptions[] measures) =>
        tiny.Recipe = tiny.Recipe with { Evaluation = tiny.Recipe.Evaluation with { Measures = measures } };
}
