using TorchSharp;
using TorchSharp.Modules;
using Trainer.Data.Batches;
using Trainer.Kernels;
using Trainer.Models;
using Trainer.Training.Distribution;
using Trainer.Training.Losses;
using Trainer.Training.Profiling;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Each micro-batch as a whole, every operation on all threads or on a GPU.</summary>
internal sealed class SequentialGradients(SequenceModel model, Device device, GradientExchange? exchange, LossFunction loss)
    : GradientComputation(model, exchange, loss)
{
    private readonly int figures = 1 + loss.FigureNames.Count;
    private readonly Parameter[] parameters = [.. model.parameters()];

    protected override string Sharing =>
        device.type == DeviceType.CPU ? $"every operation on {get_num_threads()} threads" : $"on {device}";

    protected override (Tensor Figures, Tensor Norm) Differentiate(StepBatch batch, IReadOnlyList<DropoutKey?> dropout)
    {
        using (Profiler?.Main.Measure(ProfilePart.GradientSums)) Model.zero_grad();
        Exchange?.Begin();
        Tensor sum = zeros(figures, dtype: ScalarType.Float32, device: device);
        long count = Count(batch);
        for (int i = 0; i < dropout.Count; i++)
        {
            // Gradients are whole, and can be sent, in the backward pass of the last one.
            Action<nn.Module>? differentiated = Exchange is not null && i == dropout.Count - 1 ? Exchange.Differentiated : null;
            AddGradients(Own(batch.MicroBatches[i]), dropout[i], count, sum, differentiated);
        }
        using (Exchange is null ? null : Profiler?.Main.Measure(ProfilePart.Exchange)) Exchange?.Finish(sum);
        using IDisposable? time = Profiler?.Main.Measure(ProfilePart.GradientSums);
        return (sum, Exchange?.Shards?.Norm() ?? Gradients.ClipNorm([.. parameters.Select(p => p.grad).OfType<Tensor>()], maxNorm: 0));
    }

    private void AddGradients(Batch rows, DropoutKey? dropout, long count, Tensor sum, Action<nn.Module>? differentiated)
    {
        // One scope per micro-batch: the garbage collector does not see the memory of its graph.
        using DisposeScope scope = NewDisposeScope();
        PassTimer? timer = Profiler?.Main.BeginPass();
        (Tensor share, Tensor objective) = Forward(rows, dropout, count, device, differentiated, timer);
        Differentiation.Backward(objective);
        timer?.Finish();
        CpuMemory.Sample();
        sum.add_(share);
    }
}
