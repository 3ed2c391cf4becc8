using System.Diagnostics;
using Trainer.Kernels;
using Trainer.Reporting.Monitoring;
using static TorchSharp.torch;

namespace Trainer.Training;

/// <summary>How much memory a run takes, measured.</summary>
/// <param name="device">Where it computes.</param>
internal sealed class MemoryFigures(Device device)
{
    private readonly long start = Environment.WorkingSet;
    private readonly long tensors = CpuMemory.ResetPeak().Allocated;

    /// <summary>Bytes of the run's tensors at their height: weights, gradients, optimizer and activations.</summary>
    public long PeakTensors => DeviceMemory.Peak(device) ?? CpuMemory.Current().PeakAllocated - tensors;

    /// <summary>A line for the log.</summary>
    public string Describe()
    {
        using Process process = Process.GetCurrentProcess();
        return $"memory: tensors took at most {HumanFormat.Bytes(PeakTensors)}; the process grew from {HumanFormat.Bytes(start)} to {HumanFormat.Bytes(process.PeakWorkingSet64)}";
    }
}
