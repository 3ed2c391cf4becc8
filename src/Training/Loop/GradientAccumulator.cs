using TorchSharp;
using Trainer.Evaluation;
using Trainer.Text;
using Trainer.Transformers;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>Adds up the gradients of several micro-batches as if they were one batch.</summary>
/// <remarks>Every micro-batch's summed loss is divided by the targets of the whole window: dividing by its own and then
/// averaging would weigh targets by how full their micro-batch happens to be.</remarks>
internal sealed class GradientAccumulator(LanguageModel model, Device device)
{
    /// <summary>Replaces the model's gradients by those of the mean loss over a window.</summary>
    /// <returns>The mean loss, in nats per target token: a float32 scalar on the device, without gradient.</returns>
    public Tensor Accumulate(BatchWindow window)
    {
        model.zero_grad();
        Tensor loss = zeros([], dtype: ScalarType.Float32, device: device);
        foreach (Batch batch in window.MicroBatches) AddGradients(batch, window.TargetTokens, loss);
        return loss;
    }

    private void AddGradients(Batch batch, long windowTokens, Tensor loss)
    {
        // One scope per micro-step: what its graph holds is memory that the garbage collector cannot see.
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets) = batch.ToTensors(device);
        Tensor share = model.LossSum(inputs, targets).div(windowTokens);
        share.backward();
        loss.add_(share.detach());
    }
}
