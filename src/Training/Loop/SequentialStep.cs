using TorchSharp;
using TorchSharp.Modules;
using Trainer.Data;
using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>One micro-batch after the other; every operation uses the whole device.</summary>
internal sealed class SequentialStep(LanguageModel model, Device device, double labelSmoothing = 0) : StepComputation(model, labelSmoothing)
{
    private readonly Parameter[] parameters = [.. model.parameters()];

    public override string Description => device.type == DeviceType.CPU ? $"every operation on {get_num_threads()} threads" : $"on {device}";

    public override (Tensor Loss, Tensor Norm) Differentiate(BatchWindow window)
    {
        Model.zero_grad();
        Tensor loss = zeros([], dtype: ScalarType.Float32, device: device);
        foreach ((Batch batch, DropoutKey? dropping) in window.MicroBatches.Zip(DrawKeys(window))) AddGradients(batch, dropping, window.TargetTokens, loss);
        return (loss, Gradients.ClipNorm(Moving, maxNorm: 0));
    }

    public override void Update(Optimizer optimizer, double learningRate, Tensor norm, double maxNorm, Tensor skip)
    {
        Gradients.Scale(Moving, norm, maxNorm);
        optimizer.Step(learningRate, skip);
    }

    public override void Dispose()
    {
    }

    private Tensor[] Moving => [.. parameters.Select(p => p.grad).OfType<Tensor>()];

    private void AddGradients(Batch batch, DropoutKey? dropping, long windowTokens, Tensor loss)
    {
        // One scope per micro-step: what its graph holds is memory that the garbage collector cannot see.
        using DisposeScope scope = NewDisposeScope();
        (Tensor share, Tensor objective) = Share(batch, dropping, windowTokens, device);
        Differentiation.Backward(objective);
        CpuMemory.Sample();
        loss.add_(share);
    }
}
