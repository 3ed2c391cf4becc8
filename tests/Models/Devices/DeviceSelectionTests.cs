using Trainer.Configuration;
using Trainer.Kernels;
using Trainer.Models.Devices;

namespace Trainer.Models.Tests.Devices;

/// <summary>Every choice of device, on machines with any number of GPUs.</summary>
public sealed class DeviceSelectionTests
{
    private static readonly CudaDevice Ampere = Gpu("NVIDIA A100", 8, 0), Turing = Gpu("Tesla T4", 7, 5);

    [Theory]
    [InlineData(DeviceChoice.Auto, 0, null)]
    [InlineData(DeviceChoice.Auto, 2, 0)]
    [InlineData(DeviceChoice.Cpu, 2, null)]
    [InlineData(DeviceChoice.Cuda, 1, 0)]
    [InlineData(DeviceChoice.Cuda0, 1, 0)]
    [InlineData(DeviceChoice.Cuda1, 2, 1)]
    [InlineData(DeviceChoice.Cuda7, 8, 7)]
    public void A_choice_is_the_CPU_or_the_index_of_a_GPU(DeviceChoice choice, int devices, int? index) =>
        Assert.Equal(index, DeviceSelection.Index(choice, devices, builtWithCuda: true));

    [Theory]
    [InlineData(DeviceChoice.Cuda, 0, true,
        "device 'cuda' is asked for, but libtorch sees no GPU: check that nvidia-smi lists one and that CUDA_VISIBLE_DEVICES does not " +
        "hide it, or use cpu (--set training.device=cpu, or --device cpu)")]
    [InlineData(DeviceChoice.Cuda1, 0, false,
        "device 'cuda:1' is asked for, but libtorch {version} here was built without CUDA: build with -p:Cuda=true, or set " +
        "TRAINER_LIBTORCH to the folder of one with CUDA, or use cpu (--set training.device=cpu, or --device cpu)")]
    [InlineData(DeviceChoice.Cuda1, 1, true,
        "device 'cuda:1' is asked for, but libtorch sees 1 GPU, cuda:0; use one of these, and look whether CUDA_VISIBLE_DEVICES hides " +
        "others")]
    [InlineData(DeviceChoice.Cuda4, 4, true,
        "device 'cuda:4' is asked for, but libtorch sees 4 GPUs, cuda:0 to cuda:3; use one of these, and look whether " +
        "CUDA_VISIBLE_DEVICES hides others")]
    public void A_GPU_that_is_not_there_is_an_error_that_says_what_to_do(
        DeviceChoice choice, int devices, bool builtWithCuda, string message) =>
        Assert.Equal(
            message.Replace("{version}", LibTorch.Version),
            Assert.Throws<UserException>(() => DeviceSelection.Index(choice, devices, builtWithCuda)).Message);

    [Fact]
    public void Tf32_needs_a_GPU_that_has_it()
    {
        DeviceSelection.RequireTf32(Ampere);
        Assert.Equal(
            "training.precision: tf32 needs an NVIDIA GPU of compute capability 8.0 or newer (Ampere), and Tesla T4 has compute " +
            "capability 7.5; set it to float32",
            Refusal(Turing));
        Assert.Equal(
            "training.precision: tf32 needs an NVIDIA GPU of compute capability 8.0 or newer (Ampere), and this run is on the CPU; set " +
            "it to float32 or bfloat16",
            Refusal(null));
    }

    private static string Refusal(CudaDevice? gpu)
    {
        Problem problem = Assert.Single(Assert.Throws<ConfigurationException>(() => DeviceSelection.RequireTf32(gpu)).Problems);
        return $"{problem.Path}: {problem.Message}";
    }

    private static CudaDevice Gpu(string name, int major, int minor) =>
        new(0, name, new Version(major, minor), 108, 40L << 30, 39L << 30, new Version(12, 6), new Version(12, 4));
}
