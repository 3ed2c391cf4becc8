using Trainer.Kernels;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Training.Profiling;

/// <summary>Times the parts of one pass forward and backward: what is from one part's output to the next is the latter's; on the way back
/// what is from the moment a part's output has its gradient to the moment that an earlier one's has.</summary>
/// <remarks>A checkpointed block that runs again in the backward pass is backward time of its parts.</remarks>
internal sealed class PassTimer(ProfileLane lane) : ILayerObserver
{
    private long last = lane.Now();
    private LayerPart current;

    public Tensor Observe(LayerPart part, Tensor output)
    {
        Take(part, backward: ActivationCheckpoint.Recomputing);
        current = part;
        return BackwardSignal.At(output, () =>
        {
            Take(current, backward: true);
            current = part;
        });
    }

    /// <summary>Notes what came before the model, such as copying the rows.</summary>
    public void Begun(string part)
    {
        long now = lane.Now();
        lane.Add(part, part, last, now);
        last = now;
    }

    /// <summary>Ends the pass with its backward pass.</summary>
    public void Finish() => Take(current, backward: true);

    private void Take(LayerPart part, bool backward)
    {
        long now = lane.Now();
        lane.Add(ProfilePart.Of(part.Kind, backward), part.ToString(), last, now);
        last = now;
    }
}
