using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

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
        Assert.Equal("this build has no CUDA; build against a CUDA libtorch (LIBTORCH=/path, see setup.sh --gpu)", error.Message);
    }

    [Fact]
    public void Moving_to_a_device_that_is_not_there_is_an_error()
    {
        if (cuda.is_available()) Assert.Skip("a CUDA device is there");
        using var x = ones(2);
        using var layer = nn.Linear(2, 2);
        Assert.Throws<TorchException>(() => x.to(CUDA));
        Assert.Throws<TorchException>(() => x.to(DeviceType.CUDA));
        Assert.Throws<TorchException>(() => x.to("cuda:0"));
        Assert.Throws<TorchException>(() => x.cuda());
        Assert.Throws<TorchException>(() => zeros(1, device: CUDA));
        Assert.Throws<TorchException>(() => layer.to(CUDA));
        Assert.Throws<TorchException>(() => cuda.synchronize());
        Assert.Throws<TorchException>(() => new Generator(0, CUDA));
        Assert.Contains("'cpu' is no CUDA device", Assert.Throws<ArgumentException>(() => x.cuda(CPU)).Message);
        Assert.Equal(CPU, layer.weight.device);
        TensorAssert.Equal([1, 1], x);
    }
}
