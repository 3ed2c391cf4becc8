using TorchSharp;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Models.Tests.Devices;

public class HostCopyTests
{
    [Fact]
    public void A_copy_on_another_device_takes_the_place_of_the_tensor()
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor host = tensor([1f, 2f]);

        Assert.Same(host, host.ToDevice(CPU));
        Tensor moved = host.ToDevice(META);

        Assert.Equal(DeviceType.META, moved.device_type);
        Assert.True(host.IsInvalid);
    }
}
