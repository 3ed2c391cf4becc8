using System.Runtime.CompilerServices;
using Trainer.Kernels;

/// <summary>Compiled into every program that uses Trainer.Kernels: nothing of TorchSharp's may run before libtorch is loaded.</summary>
file static class AtStart
{
    [ModuleInitializer]
    internal static void LoadLibTorch() => LibTorchLoader.LoadOnFirstUse();
}
