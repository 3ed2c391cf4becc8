using System.Runtime.CompilerServices;
using static TorchSharp.torch;

// libtorch's default random generator and its deterministic mode belong to the process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Trainer.Training.Tests;

internal static class AssemblySetup
{
    /// <summary>Models this small are slower on several threads, and much slower on a busy machine.</summary>
    [ModuleInitializer]
    internal static void UseOneThread() => set_num_threads(1);
}
