using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests;

public sealed class TargetEvaluatorTests
{
    private static readonly Batch Full = Batch(rows: 3, scored: 36), Sparse = Batch(rows: 1, scored: 2);

    [Fact]
    public void Loss_and_accuracy_are_over_all_targets_and_no_others()
    {
        using LanguageModel model = TinyModel.Build(dropout: 0.5);
        LossReport loss = LossEvaluator.Evaluate(model, [Full, Sparse], CPU);

        TargetReport report = new TargetEvaluator(model, ByteTokenizer.Instance).Evaluate([Full, Sparse], top: 3);

        Assert.Equal((38, 38, 4), (report.Tokens, report.Bytes, report.Rows));
        Assert.Equal(loss.NegativeLogLikelihood, report.NegativeLogLikelihood, 1e-3);
        Assert.Equal(loss.NegativeLogLikelihood / 38, report.MeanLoss, 1e-4);
        model.eval();
        int[] ranks = [.. Ranks(model, Full), .. Ranks(model, Sparse)];
        Assert.Equal((ranks.Count(rank => rank == 0), ranks.Count(rank => rank < 3)), (report.Correct, report.CorrectInTop));
        Assert.Equal(ranks.Count(rank => rank == 0) / 38.0, report.Accuracy);
    }

    [Fact]
    public void What_the_model_would_say_itself_is_all_correct()
    {
        using LanguageModel model = TinyModel.Build(dropout: 0);
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        long[] said = model.call(tensor(Full.Inputs, [3, TinyModel.Context])).argmax(-1).data<long>().ToArray();

        TargetReport report = new TargetEvaluator(model, ByteTokenizer.Instance).Evaluate(
            [new Batch(Full.Inputs, said, 3, TinyModel.Context)]);

        Assert.Equal((1.0, 1.0), (report.Accuracy, report.TopAccuracy));
    }

    [Fact]
    public void Without_targets_there_is_nothing_to_score()
    {
        using LanguageModel model = TinyModel.Build();
        var error = Assert.Throws<UserException>(
            () => new TargetEvaluator(model, ByteTokenizer.Instance).Evaluate([Batch(rows: 1, scored: 0)]));
        Assert.Equal("there is nothing to score: the data has no token to predict", error.Message);
    }

    /// <summary>How many tokens are more likely than each target.</summary>
    private static IEnumerable<int> Ranks(LanguageModel model, Batch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        float[] logits = model.call(tensor(batch.Inputs, [batch.Rows, batch.Columns])).data<float>().ToArray();
        return [.. Enumerable.Range(0, batch.Targets.Length).Where(place => batch.Targets[place] != Trainer.Data.Batches.Batch.Ignored)
            .Select(place => logits.Skip(place * 256).Take(256).Count(logit => logit > logits[place * 256 + batch.Targets[place]]))];
    }

    private static Batch Batch(int rows, int scored)
    {
        long[] inputs = [.. Enumerable.Range(0, rows * TinyModel.Context).Select(i => i * 37L % 256)];
        // Where not all are scored, those that are stand apart, as hidden tokens do.
        long[] targets = [.. inputs.Select(
            (id, i) => scored == inputs.Length || (i % 5 == 3 && i / 5 < scored) ? (id + 37) % 256 : Trainer.Data.Batches.Batch.Ignored)];
        return new Batch(inputs, targets, rows, TinyModel.Context);
    }
}
