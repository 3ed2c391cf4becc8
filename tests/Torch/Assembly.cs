using System.Runtime.CompilerServices;

// Threads, seeds, attention switches and the count of live tensors belong to the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Trainer.Torch.Tests;

internal static class Assembly
{
    // With tensors this small, threads would only wait for each other.
    [ModuleInitializer]
    internal static void UseOneThread() => global::TorchSharp.torch.set_num_threads(1);
}
