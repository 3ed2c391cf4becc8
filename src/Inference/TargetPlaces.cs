// Shapes: N targets.
using Trainer.Data.Batches;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Where a batch has targets. The host knows it; asking a GPU, by <c>nonzero</c>, would wait for all that was queued.</summary>
public static class TargetPlaces
{
    /// <summary>Indices of the positions with a target, row by row. In a prefix of <paramref name="prefixLength"/> tokens, which a model
    /// reads together, only the last can have one.</summary>
    public static int[] Of(Batch batch, int prefixLength = 1) =>
        [.. Enumerable.Range(0, batch.Targets.Length).Where(
            place => batch.Targets[place] != Batch.Ignored && place % batch.Columns >= prefixLength - 1)];

    /// <summary>The same on a device: (N), int64.</summary>
    public static Tensor ToTensor(int[] places, Device device) => tensor(Array.ConvertAll(places, place => (long)place)).ToDevice(device);
}
