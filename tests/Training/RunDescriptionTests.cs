using Trainer.Kernels;
using Trainer.Models.Devices;

namespace Trainer.Training.Tests;

public sealed class RunDescriptionTests
{
    private static readonly CudaDevice Ampere = Gpu("NVIDIA A100", 8, 0), Turing = Gpu("Tesla T4", 7, 5);

    [Fact]
    public void A_run_says_whether_its_precision_suits_the_GPU()
    {
        TrainingOptions options = new() { Steps = 1, BatchSize = 1 };
        string device = "device: NVIDIA A100, compute capability 8.0, 108 multiprocessors, 40.0 GiB of which 39.0 GiB free, CUDA 12.4, " +
            "driver for 12.6";

        Assert.Equal([device], RunDescription.Gpu(Ampere, options with { Precision = Precision.BFloat16 }));
        Assert.Equal([device], RunDescription.Gpu(Ampere, options with { Precision = Precision.Tf32 }));
        Assert.Contains("tf32 keeps 10 bits", RunDescription.Gpu(Ampere, options).Last());
        Assert.Contains("Tesla T4 has no bfloat16 units", RunDescription.Gpu(Turing, options with { Precision = Precision.BFloat16 })
            .Last());
        Assert.Single(RunDescription.Gpu(Turing, options));
    }

    private static CudaDevice Gpu(string name, int major, int minor) =>
        new(0, name, new Version(major, minor), 108, 40L << 30, 39L << 30, new Version(12, 6), new Version(12, 4));
}
