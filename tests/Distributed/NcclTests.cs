using static TorchSharp.torch;

namespace Trainer.Distributed.Tests;

/// <summary>What of NCCL can be known without a GPU.</summary>
public sealed class NcclTests
{
    [Theory]
    [InlineData(2708, "2.7.8")]
    [InlineData(21602, "2.16.2")]
    [InlineData(23100, "2.31.0")]
    public void Versions_are_those_of_the_header(int number, string version) =>
        Assert.Equal(version, NcclLibrary.VersionOf(number).ToString());

    [Theory]
    [InlineData(0, 4, 4, 0)]
    [InlineData(3, 4, 8, 3)]
    [InlineData(3, 4, 1, 0)]
    public void Each_rank_of_a_machine_has_its_GPU(int localRank, int localSize, int visible, int device) =>
        Assert.Equal(device, NcclProcessGroup.DeviceOf(localRank, localSize, visible));

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void Fewer_GPUs_than_ranks_are_an_error(int visible) => Assert.Equal(
        $"4 processes are on one machine, and {visible} GPUs are visible: start as many processes as there are GPUs; NCCL takes one "
            + "process for each.",
        Assert.Throws<LaunchException>(() => NcclProcessGroup.DeviceOf(1, 4, visible)).Message);

    [Fact]
    public void An_id_has_128_bytes() => Assert.Equal(128, System.Runtime.CompilerServices.Unsafe.SizeOf<NcclLibrary.UniqueId>());

    [Theory]
    [InlineData(ScalarType.Byte, 1)]
    [InlineData(ScalarType.Int64, 4)]
    [InlineData(ScalarType.Float32, 7)]
    [InlineData(ScalarType.Float64, 8)]
    [InlineData(ScalarType.BFloat16, 9)]
    public void Types_have_the_numbers_of_the_header(ScalarType type, int number) => Assert.Equal(number, NcclProcessGroup.Type(type));

    [Fact]
    public void It_is_looked_for_beside_libtorch_and_where_pip_puts_it() => Assert.Equal(
        ["/site/torch/lib/libnccl.so.2", "/site/nvidia/nccl/lib/libnccl.so.2"], NcclLibrary.Candidates("/site/torch/lib"));
}
