// Thread counts, seeds and the count of live tensors belong to the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
[assembly: AssemblyFixture(typeof(Trainer.Tests.OneThread))]

namespace Trainer.Tests;

/// <summary>With tensors this small, threads would only wait for each other.</summary>
public sealed class OneThread
{
    public OneThread() => TorchSharp.torch.set_num_threads(1);
}
