using static TorchSharp.torch;

namespace Trainer.Kernels.Tests;

/// <summary>Memory that is not there is told from everything else that can go wrong.</summary>
public sealed class OutOfMemoryTests
{
    [Fact]
    public void More_memory_than_there_is_is_an_error_of_its_own()
    {
        var error = Assert.ThrowsAny<System.Runtime.InteropServices.ExternalException>(() => empty([1L << 50]));
        Assert.True(error.IsOutOfMemory, error.Message);
    }

    [Fact]
    public void Other_errors_are_not_taken_for_it()
    {
        using var scope = NewDisposeScope();
        Assert.False(Assert.ThrowsAny<System.Runtime.InteropServices.ExternalException>(() => ones([2, 3]).mm(ones([2, 3]))).IsOutOfMemory);
    }
}
