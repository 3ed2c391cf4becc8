using TorchSharp;
using Trainer.Evaluation;
using Trainer.Text;
using Trainer.Transformers;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>One micro-batch after the other; every operation uses the whole device.</summary>
internal sealed class SequentialGradientAccumulator(LanguageModel model, Device device) : GradientAccumulator(model)
{
    public override string Description => device.type == DeviceType.CPU ? $"every operation on {get_num_threads()} threads" : $"on {device}";

    public override Tensor Accumulate(BatchWindow window)
    {
        Model.zero_grad();
        Tensor loss = zeros([], dtype: ScalarType.Float32, device: device);
        foreach (Batch batch in window.MicroBatches) AddGradients(batch, window.TargetTokens, loss);
        return loss;
    }

    public override void Follow(Action work) => work();

    public override void Dispose()
    {
    }

    private void AddGradients(Batch batch, long windowTokens, Tensor loss)
    {
        // One scope per micro-step: what its graph holds is memory that the garbage collector cannot see.
        using DisposeScope scope = NewDisposeScope();
        (Tensor inputs, Tensor targets) = batch.ToTensors(device);
        Tensor share = Model.LossSum(inputs, targets).div(windowTokens);
        share.backward();
        loss.add_(share.detach());
    }
}
