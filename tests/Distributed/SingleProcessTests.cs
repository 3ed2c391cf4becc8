using static TorchSharp.torch;

namespace Trainer.Distributed.Tests;

public sealed class SingleProcessTests : IDisposable
{
    private readonly SingleProcess group = new();
    private readonly TorchSharp.DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void It_is_the_only_one()
    {
        Assert.Equal((0, 1, 0, 1), (group.Rank, group.Size, group.LocalRank, group.LocalSize));
        Assert.Equal("1 process", group.Description);
    }

    [Fact]
    public void Sums_and_broadcasts_change_nothing()
    {
        var tensor = arange(7);
        group.Sum(tensor);
        group.Broadcast(tensor);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], tensor.data<long>().ToArray());
        Assert.Equal(3L, group.Sum(3L));
        Assert.Equal("text", group.Broadcast("text"));
        Assert.Equal(["text"], group.AllGather("text"));
    }

    [Fact]
    public void Its_part_is_the_whole()
    {
        var (part, whole) = (arange(4, dtype: ScalarType.Float32), zeros(2, 2));
        group.AllGather(part, whole);
        Assert.Equal([0f, 1, 2, 3], whole.data<float>().ToArray());
        whole.mul_(2);
        group.ReduceScatter(whole, part);
        Assert.Equal([0f, 2, 4, 6], part.data<float>().ToArray());
        group.Gather(part.neg_(), whole);
        Assert.Equal([0f, -2, -4, -6], whole.data<float>().ToArray());
        group.AllGather(whole, whole);
        Assert.Equal([0f, -2, -4, -6], whole.data<float>().ToArray());
    }

    [Fact]
    public void It_refuses_what_several_processes_would_refuse()
    {
        Assert.Equal(
            "Tensors of Int32 are not exchanged between processes; Float32, BFloat16, Float64, Int64 and Byte are.",
            Assert.Throws<ArgumentException>(() => group.Sum(ones(2, dtype: ScalarType.Int32))).Message);
        Assert.Equal(
            "A tensor of shape (3, 2) and strides (1, 3) is not contiguous; exchange a contiguous copy.",
            Assert.Throws<ArgumentException>(() => group.Broadcast(ones(2, 3).t())).Message);
        Assert.Equal(
            "A whole of 6 Float32 does not consist of 1 parts of 5 Float32.",
            Assert.Throws<ArgumentException>(() => group.AllGather(ones(5), ones(6))).Message);
        Assert.Equal(
            "There is no rank 1: the ranks are 0 to 0.", Assert.Throws<ArgumentException>(() => group.Broadcast(ones(2), 1)).Message);
    }
}
