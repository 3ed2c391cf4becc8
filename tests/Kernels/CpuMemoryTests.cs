using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

public sealed class CpuMemoryTests
{
    [Fact]
    public void Tensors_are_counted_until_they_are_freed_and_their_peak_stays()
    {
        const long Noise = 16 << 20; // of the runtime, whose own memory comes and goes
        const long Bytes = 128 << 20;
        Finalizers.Run();
        var before = CpuMemory.ResetPeak().Allocated;
        var first = zeros(Bytes / sizeof(float));
        var view = first.view(2, -1);
        var second = zeros_like(first);
        Assert.InRange(CpuMemory.Current().Allocated - before, 2 * Bytes - Noise, 2 * Bytes + Noise);

        first.Dispose();
        second.Dispose();
        Assert.InRange(CpuMemory.Current().Allocated - before, Bytes - Noise, Bytes + Noise); // the view still needs it
        view.Dispose();
        Assert.InRange(CpuMemory.Current().Allocated - before, -Noise, Noise);
        Assert.InRange(CpuMemory.Current().PeakAllocated - before, 2 * Bytes - Noise, 2 * Bytes + Noise);
        Assert.InRange(CpuMemory.ResetPeak().PeakAllocated - before, 2 * Bytes - Noise, 2 * Bytes + Noise);
        Assert.InRange(CpuMemory.Current().PeakAllocated - before, -Noise, Noise);
    }
}
