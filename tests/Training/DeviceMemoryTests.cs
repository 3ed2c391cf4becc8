using Trainer.Kernels;
using Trainer.Models.Devices;
using static TorchSharp.torch;

namespace Trainer.Training.Tests;

/// <summary>A run that does not fit ends with what to change.</summary>
public sealed class DeviceMemoryTests
{
    // As CUDA's allocator says it in libtorch 2.6.
    private const string Cause =
        "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.15 GiB of which 10.94 MiB is free. Of the " +
            "allocated memory 78.00 GiB is allocated by PyTorch.";

    [Theory]
    [InlineData(24, null, Precision.Float32,
        "Compute fewer sequences at once, with the same result: training.microBatchSize is 24, try 12; or set training.precision to " +
            "bfloat16; plan says what a recipe needs")]
    [InlineData(24, 3, Precision.BFloat16,
        "Compute fewer sequences at once, with the same result: training.microBatchSize is 3, try 1; plan says what a recipe needs")]
    [InlineData(15, 15, Precision.BFloat16,
        "Compute fewer sequences at once, with the same result: training.microBatchSize is 15, try 5; plan says what a recipe needs")]
    [InlineData(8, 1, Precision.BFloat16,
        "A micro-batch is one sequence already: shorten model.contextLength, or make the model smaller; plan says what a recipe needs")]
    public void The_advice_fits_the_batches(int batch, int? micro, Precision precision, string advice)
    {
        TrainingOptions options = new() { Steps = 1, BatchSize = batch, MicroBatchSize = micro, Precision = precision };

        var error = DeviceMemory.OutOfMemory(new TorchException(Cause, isOutOfMemory: true), options, new Device("cuda:0"));

        Assert.Equal(
            "out of memory on cuda:0: CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.15 GiB of which " +
                "10.94 MiB is free. " + advice,
            error.Message);
    }

    [Fact]
    public void A_CPU_has_no_peak_of_its_own() => Assert.Null(DeviceMemory.Peak(CPU));
}
