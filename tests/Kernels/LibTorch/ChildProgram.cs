using System.Runtime.CompilerServices;
using TorchSharp;

namespace Trainer.Kernels.Tests;

/// <summary>What a test asks of a process of its own: libtorch is loaded once a process.</summary>
internal static class ChildProgram
{
    internal const string Variable = "TRAINER_TEST_QUESTION";

    [ModuleInitializer]
    internal static void Answer()
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { } question) return;
        LibTorchLoader.LoadOnFirstUse();
        Console.WriteLine(question == "threads" ? Threads() : Folder());
        Environment.Exit(0);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string Threads() => $"{torch.get_num_threads()}";

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static string Folder()
    {
        torch.ones(1).Dispose();
        return LibTorchLoader.Folder;
    }
}
