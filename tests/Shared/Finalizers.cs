using Trainer.Kernels;

namespace Trainer.Tests;

/// <summary>Frees what earlier tests forgot, before a test that counts: their finalizers would count against it.</summary>
internal static class Finalizers
{
    internal static void Run()
    {
        // The last backward pass of a thread keeps some gradients until its next one; which thread a test runs on is chance.
        Differentiation.ReleaseGradients();
        for (var round = 0; round < 2; round++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}
