using TorchSharp;
using TorchSharp.Modules;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Reporting.Monitoring;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>How the values of every weight and its gradient are distributed.</summary>
internal static class Histograms
{
    /// <summary>Reports all of them; the gradients are those of the last step, after clipping.</summary>
    public static void Write(LanguageModel model, long step, IMetricsSink sink)
    {
        foreach ((string name, Parameter parameter) in model.named_parameters())
        {
            using DisposeScope scope = NewDisposeScope();
            sink.Histogram($"weights/{name}", Summary(parameter), step);
            if (parameter.grad is { } gradient) sink.Histogram($"gradients/{name}", Summary(gradient), step);
        }
    }

    private static HistogramSummary Summary(Tensor values) =>
        HistogramSummary.FromValues(values.detach().to(ScalarType.Float32).cpu().contiguous().Span<float>());
}
