using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests;

/// <summary>The device without memory: shapes are worked out, and whoever reads a value is caught.</summary>
public sealed class MetaDeviceTests
{
    [Fact]
    public void Shapes_are_worked_out_without_memory()
    {
        using var scope = NewDisposeScope();
        var product = zeros([1L << 20, 1L << 20], device: META).mm(zeros([1L << 20, 3], device: META));
        Assert.Equal([1L << 20, 3], product.shape);
        Assert.Equal(META, product.device);
    }

    [Fact]
    public void Reading_a_value_is_an_error()
    {
        using var scope = NewDisposeScope();
        var x = ones([2], device: META);
        Assert.Throws<TorchException>(() => x.sum().ToSingle());
        Assert.Throws<TorchException>(() => x.cpu());
    }

    [Fact]
    public void A_module_moves_there_and_stays_itself()
    {
        using var layer = nn.Linear(2, 3);
        var weight = layer.weight;
        layer.to(META);
        Assert.Equal(META, weight.device);
        Assert.Same(weight, layer.weight);
        Assert.True(weight.requires_grad);
        using var result = layer.forward(ones([5, 2], device: META));
        Assert.Equal([5L, 3], result.shape);
    }
}
