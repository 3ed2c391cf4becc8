using TorchSharp;
using Trainer.Data.Batches;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests;

public sealed class TargetPlacesTests
{
    private const long None = Batch.Ignored;

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(4)]
    public void They_are_those_that_a_device_finds_in_a_models_targets(int prefixLength)
    {
        using DisposeScope scope = NewDisposeScope();
        long[] targets = [None, 4, None, 5, 6, 7, None, None];
        Batch batch = new(new long[8], targets, Rows: 2, Columns: 4);
        Tensor counted = tensor(targets, [2, 4]);
        counted.narrow(1, 0, prefixLength - 1).fill_(None);

        Tensor places = TargetPlaces.ToTensor(TargetPlaces.Of(batch, prefixLength), CPU);

        TensorAssert.SameBits(counted.reshape(-1).ne(None).nonzero().reshape(-1), places);
    }
}
