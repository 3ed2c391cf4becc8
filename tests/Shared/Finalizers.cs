namespace Trainer.Tests;

/// <summary>Frees what earlier tests forgot, before a test that counts: their finalizers would count against it.</summary>
internal static class Finalizers
{
    internal static void Run()
    {
        for (var round = 0; round < 2; round++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}
