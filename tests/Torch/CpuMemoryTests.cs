using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

public sealed class CpuMemoryTests
{
    [Fact]
    public void Tensors_are_counted_until_they_are_freed_and_their_peak_stays()
    {
        const long Bytes = 3 << 20;
        Finalizers.Run();
        var before = CpuMemory.ResetPeak().Allocated;
        var first = zeros(Bytes / sizeof(float));
        var view = first.view(2, -1);
        var second = zeros_like(first);
        Assert.InRange(CpuMemory.Current().Allocated - before, 2 * Bytes, 2 * Bytes + 4096);

        first.Dispose();
        second.Dispose();
        Assert.InRange(CpuMemory.Current().Allocated - before, Bytes, Bytes + 4096); // the view still needs it
        view.Dispose();
        Assert.InRange(CpuMemory.Current().Allocated - before, 0, 4096);
        Assert.InRange(CpuMemory.Current().PeakAllocated - before, 2 * Bytes, 2 * Bytes + 8192);
        Assert.InRange(CpuMemory.ResetPeak().PeakAllocated - before, 2 * Bytes, 2 * Bytes + 8192);
        Assert.InRange(CpuMemory.Current().PeakAllocated - before, 0, 4096);
    }
}
