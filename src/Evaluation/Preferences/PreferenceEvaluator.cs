// Shapes: R rows.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Preferences;

/// <summary>Measures how often a model finds the chosen one of two answers likelier than the rejected one.</summary>
public sealed class PreferenceEvaluator(LanguageModel model)
{
    /// <summary>Evaluates rows of preferences; answers that were judged alone are left out.</summary>
    /// <exception cref="UserException">There is no pair, or the model's logits are not finite.</exception>
    public PreferenceReport Evaluate(IEnumerable<Batch> batches)
    {
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        return Report(batches);
    }

    private PreferenceReport Report(IEnumerable<Batch> batches)
    {
        List<(double Sum, double Mean)> margins = [];
        foreach (Batch batch in batches)
        {
            using DisposeScope scope = NewDisposeScope();
            AnswerScores scores = AnswerScores.Of(model, batch, model.Device); // (R, 2)
            float[] sums = scores.LogProbability.cpu().data<float>().ToArray(), means = scores.Mean.cpu().data<float>().ToArray();
            float[] tokens = scores.Tokens.cpu().data<float>().ToArray();
            for (int row = 0; row < batch.Rows; row++)
                if (tokens[2 * row] > 0 && tokens[2 * row + 1] > 0)
                    margins.Add((sums[2 * row] - sums[2 * row + 1], means[2 * row] - means[2 * row + 1]));
        }
        if (margins.Count == 0) throw new UserException("there is nothing to compare: no record has a chosen and a rejected answer");
        LogitsException.RequireFinite(margins.Sum(margin => margin.Sum));
        return new()
        {
            Pairs = margins.Count,
            Accuracy = margins.Average(margin => margin.Sum > 0 ? 1 : 0.0),
            TokenAccuracy = margins.Average(margin => margin.Mean > 0 ? 1 : 0.0),
            Margin = margins.Average(margin => margin.Sum),
        };
    }
}

/// <summary>How a model ranks pairs of answers.</summary>
public sealed record PreferenceReport
{
    /// <summary>Pairs of a chosen and a rejected answer.</summary>
    public required int Pairs { get; init; }

    /// <summary>The share of pairs whose chosen answer is likelier as a whole.</summary>
    public required double Accuracy { get; init; }

    /// <summary>The share of pairs whose chosen answer is likelier per token, which does not favour short ones.</summary>
    public required double TokenAccuracy { get; init; }

    /// <summary>The mean difference of the logarithms of both probabilities, in nats.</summary>
    public required double Margin { get; init; }

    /// <summary>The standard error of <see cref="Accuracy"/>.</summary>
    public double StandardError => Math.Sqrt(Accuracy * (1 - Accuracy) / Math.Max(1, Pairs - 1));
}
