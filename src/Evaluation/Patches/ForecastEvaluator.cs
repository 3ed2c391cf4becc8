// Shapes: B batch, L values read, F values forecast.
using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Distributed;
using Trainer.Inference;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Patches;

/// <summary>Measures the errors of forecasts, of values that are standardised by the training data as PatchTST reports them, beside
/// those of forecasts that need no model.</summary>
public sealed class ForecastEvaluator(SequenceModel model, IProcessGroup? processes = null)
{
    /// <summary>Forecasts every window, without dropout; <paramref name="season"/> is the period of values, or null.</summary>
    public ForecastReport Evaluate(IReadOnlyList<Batch> batches, Device device, int? season = null)
    {
        IProcessGroup group = processes ?? new SingleProcess();
        using EvaluationMode mode = EvaluationMode.Of(model);
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        Tensor sums = zeros(7, dtype: ScalarType.Float64, device: device); // squares and amounts of each forecast, and values
        for (int index = group.Rank; index < batches.Count; index += group.Size) Add(sums, batches[index], device, season);
        group.Sum(sums);
        double[] all = sums.cpu().data<double>().ToArray();
        ForecastErrors Of(int first) => new(all[first] / all[6], all[first + 1] / all[6]);
        return new((long)all[6], Of(0), Of(2), season is null ? null : Of(4)) { Season = season };
    }

    private void Add(Tensor sums, Batch batch, Device device, int? season)
    {
        using DisposeScope scope = NewDisposeScope();
        (ModelInput input, Tensor targets) = batch.ToTensors(device); // (B, L), (B, F)
        Tensor read = input.Values!;
        long horizon = targets.size(1), length = read.size(1);
        Count(0, model.call(input));
        Count(2, read.narrow(1, length - 1, 1).expand(-1, horizon));
        if (season is { } period)
            Count(4, read.index_select(1, arange(horizon, device: device).remainder(period).add(length - period)));
        sums.select(0, 6).add_(targets.numel());

        void Count(int place, Tensor forecast) // (B, F)
        {
            Tensor difference = forecast.sub(targets).to(ScalarType.Float64);
            sums.select(0, place).add_(difference.square().sum());
            sums.select(0, place + 1).add_(difference.abs().sum());
        }
    }
}

/// <summary>Errors of a model's forecasts, of the last value repeated, and of the values a season before; null without a season.</summary>
public sealed record ForecastReport(long Values, ForecastErrors Model, ForecastErrors LastValue, ForecastErrors? LastSeason)
{
    /// <summary>The period of <see cref="LastSeason"/>, in steps of time.</summary>
    public int? Season { get; init; }
}

/// <summary>The mean squared and the mean absolute error of standardised values.</summary>
public sealed record ForecastErrors(double MeanSquaredError, double MeanAbsoluteError);
