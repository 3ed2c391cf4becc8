using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests;

public sealed class LossEvaluatorTests
{
    private static readonly Batch Full = Batch(rows: 3, scored: 36), Sparse = Batch(rows: 1, scored: 2);

    [Fact]
    public void Perplexity_is_of_the_sum_over_tokens_not_a_mean_of_means()
    {
        using LanguageModel model = TinyModel.Build();
        LossReport full = LossEvaluator.Evaluate(model, [Full], CPU), sparse = LossEvaluator.Evaluate(model, [Sparse], CPU);

        LossReport both = LossEvaluator.Evaluate(model, [Full, Sparse], CPU);

        Assert.Equal((36L, 2L, 38L), (full.Tokens, sparse.Tokens, both.Tokens));
        double expected = (full.NegativeLogLikelihood + sparse.NegativeLogLikelihood) / 38;
        Assert.Equal(expected, both.MeanLoss, 1e-9);
        Assert.Equal(Math.Exp(expected), both.Perplexity, 1e-6);
        Assert.NotEqual((full.MeanLoss + sparse.MeanLoss) / 2, both.MeanLoss, 1e-3);
    }

    [Fact]
    public void It_agrees_with_log_softmax()
    {
        using LanguageModel model = TinyModel.Build(dropout: 0);
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        Tensor inputs = tensor(Sparse.Inputs, [1, TinyModel.Context]);
        float[] logits = model.call(inputs).data<float>().ToArray();

        double expected = Enumerable.Range(0, 2).Sum(t => NegativeLogLikelihood(logits.AsSpan(t * 256, 256), (int)Sparse.Targets[t]));

        Assert.Equal(expected, LossEvaluator.Evaluate(model, [Sparse], CPU).NegativeLogLikelihood, 1e-3);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Dropout_is_off_and_the_model_is_left_in_its_mode(bool training)
    {
        using LanguageModel model = TinyModel.Build(dropout: 0.5);
        model.train(training);

        Assert.Equal(LossEvaluator.Evaluate(model, [Full], CPU), LossEvaluator.Evaluate(model, [Full], CPU));
        Assert.Equal(training, model.training);
        Assert.All(model.parameters(), p => Assert.Null(p.grad));
    }

    [Fact]
    public void Live_tensors_stay_flat()
    {
        using LanguageModel model = TinyModel.Build();
        LossEvaluator.Evaluate(model, [Full], CPU);
        Finalizers.Run();
        long live = LiveTensors.Count();
        for (int i = 0; i < 20; i++) LossEvaluator.Evaluate(model, [Full, Sparse], CPU);

        Assert.Equal(live, LiveTensors.Count());
    }

    private static double NegativeLogLikelihood(ReadOnlySpan<float> logits, int target)
    {
        double highest = logits[0], sum = 0;
        foreach (float logit in logits) highest = Math.Max(highest, logit);
        foreach (float logit in logits) sum += Math.Exp(logit - highest);
        return highest + Math.Log(sum) - logits[target];
    }

    private static Batch Batch(int rows, int scored)
    {
        long[] inputs = [.. Enumerable.Range(0, rows * TinyModel.Context).Select(i => i * 37L % 256)];
        long[] targets = [.. inputs.Select((id, i) => i < scored ? (id + 37) % 256 : Trainer.Data.Batches.Batch.Ignored)];
        return new Batch(inputs, targets, rows, TinyModel.Context);
    }
}
