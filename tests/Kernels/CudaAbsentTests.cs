using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>Without a GPU every way to one is an exception that says so, never a crash.</summary>
public sealed class CudaAbsentTests
{
    [Fact]
    public void A_build_without_cuda_names_the_way_to_one()
    {
        if (LibTorch.HasCuda) Assert.Skip("built against a CUDA libtorch");
        Assert.False(cuda.is_available());
        Assert.Equal(0, cuda.device_count());
        var error = Assert.Throws<TorchException>(() => CudaMemory.Current());
        Assert.Equal("this libtorch has no CUDA: build with the package TorchSharp-cuda-linux, or name a libtorch that has it",
            error.Message);
    }
}
