using Trainer.Data.Batches;
using Trainer.Data.Numbers;
using Trainer.Evaluation.Patches;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Models.Patches;
using Trainer.Models.Positions;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests.Patches;

public class PatchEvaluatorTests
{
    private static readonly SeriesPatchOptions Series = new() { Length = 8, Patch = 4, Stride = 2, Horizon = 3 };

    private static readonly ImagePatchOptions Picture = new() { Height = 4, Width = 4, Channels = 1, Patch = 2 };

    // Values go 1, 5, 1, 5, …: the last one read is 5, and those to forecast are 1, 5, 1.
    private static readonly Batch Alternating = new([], [], 2, 3)
    {
        Values = [1, 5, 1, 5, 1, 5, 1, 5, 1, 5, 1, 5, 1, 5, 1, 5],
        TargetValues = [1, 5, 1, 1, 5, 1],
    };

    [Fact]
    public void The_last_value_and_the_season_before_have_the_errors_that_they_have()
    {
        using SequenceModel model = Of(Series).BuildSequenceModel(Series.Horizon);
        ForecastReport report = new ForecastEvaluator(model).Evaluate([Alternating], CPU, season: 2);
        Assert.Equal(6, report.Values);
        Assert.Equal(new ForecastErrors(32.0 / 3, 8.0 / 3), report.LastValue);
        Assert.Equal(new ForecastErrors(0, 0), report.LastSeason);
        Assert.Null(new ForecastEvaluator(model).Evaluate([Alternating], CPU).LastSeason);
    }

    [Theory]
    [InlineData(ForecastError.Squared)]
    [InlineData(ForecastError.Absolute)]
    public void The_error_of_the_model_is_its_loss(ForecastError error)
    {
        using SequenceModel model = Of(Series with { Error = error }).BuildSequenceModel(Series.Horizon);
        ForecastErrors errors = new ForecastEvaluator(model).Evaluate([Alternating], CPU).Model;
        double loss = LossEvaluator.Evaluate(model, [Alternating], CPU).MeanLoss;
        Assert.Equal(loss, error == ForecastError.Squared ? errors.MeanSquaredError : errors.MeanAbsoluteError, 1e-5);
        Assert.True(model.training);
    }

    [Fact]
    public void Classes_are_counted_by_what_they_were_told_for()
    {
        using SequenceModel model = Of(Picture).BuildSequenceModel(3);
        ImagePreprocessor preprocessor = new(["a", "b", "c"], [0.0], [1.0], Resize: false);
        float[] values = [.. Enumerable.Range(0, 6 * 16).Select(index => (float)Math.Sin(index * index))];
        Batch[] batches =
        [
            new([], [0, 1, 2], 3, 1) { Values = values[..48] },
            new([], [2, 2, 0], 3, 1) { Values = values[48..] },
        ];
        ClassificationEvaluator evaluator = new(model, preprocessor);
        ClassificationReport report = evaluator.Evaluate(batches, CPU, top: 2);
        (long Target, float[] Row)[] all =
            [.. batches.SelectMany(batch => batch.Targets.Zip(evaluator.Probabilities(batch, CPU)))];
        Assert.Equal(6, report.Pictures);
        Assert.Equal([2, 1, 3], report.Classes.Select(entry => entry.Pictures));
        Assert.Equal(all.Count(entry => entry.Row.Max() == entry.Row[entry.Target]) / 6.0, report.Accuracy, 1e-12);
        Assert.Equal(all.Count(entry => entry.Row.Order().ElementAt(0) < entry.Row[entry.Target]) / 6.0, report.InTop, 1e-12);
        Assert.Equal(LossEvaluator.Evaluate(model, batches, CPU).MeanLoss, report.MeanLoss, 1e-5);
        Assert.All(report.Classes, entry => Assert.Equal(entry.Pictures, entry.Told.Sum()));
    }

    [Fact]
    public void Classes_as_likely_as_others_are_not_among_the_most_likely()
    {
        using SequenceModel model = Of(Picture).BuildSequenceModel(3);
        using (no_grad())
            foreach (var parameter in model.parameters()) parameter.zero_();
        ImagePreprocessor preprocessor = new(["a", "b", "c"], [0.0], [1.0], Resize: false);
        Batch batch = new([], [0, 1, 2], 3, 1) { Values = new float[48] };
        Assert.Equal(0, new ClassificationEvaluator(model, preprocessor).Evaluate([batch], CPU, top: 2).InTop);
    }

    private static EncoderOptions Of(PatchOptions input) => new()
    {
        Input = input,
        Dim = 8,
        Layers = 1,
        ContextLength = input.Positions(),
        Attention = new MultiHeadOptions { Heads = 2 },
        Position = new LearnedOptions(),
    };
}
