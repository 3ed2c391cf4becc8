using FsCheck.Fluent;
using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Torch.Tests.TorchSharp;

public sealed class DataTests
{
    [Fact]
    public void Arrays_of_every_type_come_back()
    {
        using var scope = NewDisposeScope();
        Assert.Equal([1.5f, -2f], tensor([1.5f, -2f]).data<float>().ToArray());
        Assert.Equal([1.5, -2], tensor([1.5, -2.0]).data<double>().ToArray());
        Assert.Equal([long.MinValue, long.MaxValue], tensor([long.MinValue, long.MaxValue]).data<long>().ToArray());
        Assert.Equal([int.MinValue, 7], tensor([int.MinValue, 7]).data<int>().ToArray());
        Assert.Equal([true, false], tensor([true, false]).data<bool>().ToArray());
        Assert.Equal([0, 255], tensor(new byte[] { 0, 255 }).data<byte>().ToArray());
        Assert.Equal([2, 1], tensor([1L, 2L], [2, 1]).shape);
        Assert.Equal(ScalarType.BFloat16, tensor([1f], dtype: ScalarType.BFloat16).dtype);
        Assert.Empty(tensor(3f).shape);
        Assert.Equal(ScalarType.Float32, zeros(1).dtype);
        Assert.Equal(ScalarType.Float32, get_default_dtype());
    }

    [Fact]
    public void Values_that_do_not_fill_the_shape_are_refused() =>
        Assert.Contains("3 values do not fill the shape [2, 2].", Assert.Throws<ArgumentException>(() => tensor([1f, 2f, 3f], [2, 2])).Message);

    [Fact]
    public void Elements_are_read_and_written_in_place()
    {
        using var scope = NewDisposeScope();
        var x = zeros(2, 2);
        var elements = x.data<float>();
        Assert.Equal(4, elements.Count);
        elements[3] = 5;
        elements.Span[0] = 1;
        TensorAssert.Equal([1, 0, 0, 5], x);
        var copy = new float[4];
        elements.CopyTo(copy);
        Assert.Equal([1, 0, 0, 5], copy);
        x.bytes = BitConverter.GetBytes(7f).Concat(new byte[12]).ToArray();
        TensorAssert.Equal([7, 0, 0, 0], x);
    }

    [Fact]
    public void Wrong_reading_is_an_error_that_says_how()
    {
        using var scope = NewDisposeScope();
        var x = arange(6).view(2, 3);
        Assert.Equal("The tensor holds Int64 of 8 bytes, not Single.", Assert.Throws<InvalidOperationException>(() => x.data<float>()[0]).Message);
        Assert.Equal("The tensor's memory has gaps; take contiguous() first.", Assert.Throws<InvalidOperationException>(() => x.mT.data<long>()[0]).Message);
        Assert.Equal([0, 3, 1, 4, 2, 5], x.mT.data<long>().ToArray());
        Assert.Contains("1 bytes do not fill a tensor of 48 bytes", Assert.Throws<ArgumentException>(() => x.bytes = new byte[1]).Message);
        Assert.Throws<TorchException>(() => x.ToSingle());
        Assert.Throws<OverflowException>(() => tensor(1L << 40).ToInt32());
    }

    [Fact]
    public void One_element_is_read_as_any_number()
    {
        using var scope = NewDisposeScope();
        Assert.Equal(2.5, tensor(2.5f).item<double>());
        Assert.Equal(3, tensor(3L).item<int>());
        Assert.Equal(3f, tensor(3L).item<float>());
        Assert.True(tensor(true).item<bool>());
        Assert.Equal(1.5f, tensor([1.5f]).to(ScalarType.BFloat16).ToSingle());
        Assert.Equal(long.MaxValue, tensor(long.MaxValue).ToInt64());
    }

    // bfloat16 is the upper half of a float32, rounded to nearest even.
    [Fact]
    public void Bfloat16_rounds_to_nearest_even_and_comes_back_exactly() =>
        FsCheck.Check.QuickThrowOnFailure(Prop.ForAll<int>(bits =>
        {
            using var scope = NewDisposeScope();
            var value = BitConverter.Int32BitsToSingle(bits);
            if (float.IsNaN(value)) return tensor(value).to(ScalarType.BFloat16).isnan().ToBoolean();
            var expected = (ushort)((uint)(bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
            var half = tensor([value]).to(ScalarType.BFloat16);
            return half.data<ushort>()[0] == expected
                && half.to(ScalarType.Float32).to(ScalarType.BFloat16).data<ushort>()[0] == expected;
        }));

    [Fact]
    public void Conversions_keep_or_round_values()
    {
        using var scope = NewDisposeScope();
        var x = tensor([-1.75f, 0f, 2.5f]);
        TensorAssert.Equal([-1, 0, 2], x.to(ScalarType.Int64));
        TensorAssert.Equal([1, 0, 1], x.to(ScalarType.Bool));
        TensorAssert.Equal([-1.75, 0, 2.5], x.to(ScalarType.Float16));
        TensorAssert.Equal([-1.75, 0, 2.5], x.to(ScalarType.BFloat16).to(ScalarType.Float64));
        Assert.Equal(ScalarType.BFloat16, (x.to(ScalarType.BFloat16) * x.to(ScalarType.BFloat16)).dtype);
        Assert.Equal(ScalarType.Float32, (x.to(ScalarType.BFloat16) * x).dtype);
        Assert.Equal(ScalarType.Int64, x.type_as(tensor(1L)).dtype);
        Assert.True(x.to(ScalarType.Float32).SharesStorageWith(x));
        Assert.False(x.to(ScalarType.Float32, copy: true).SharesStorageWith(x));
        var consumed = x.clone();
        consumed.to(ScalarType.Int64, disposeAfter: true);
        Assert.True(consumed.IsInvalid);
    }

    [Fact]
    public void Gradients_flow_through_conversions()
    {
        using var scope = NewDisposeScope();
        var x = tensor([1f, 2f], requires_grad: true);
        (x.to(ScalarType.BFloat16) * 3).to(ScalarType.Float32).sum().backward();
        Assert.Equal(ScalarType.Float32, x.grad!.dtype);
        TensorAssert.Equal([3, 3], x.grad!);
    }

    [Fact]
    public void Devices_are_read_from_their_text()
    {
        Assert.Equal(CPU, device("cpu"));
        Assert.Equal("cuda:1", device("cuda:1").ToString());
        Assert.Equal(CUDA, device(DeviceType.CUDA));
        Assert.Equal(CPU, device("cpu:0"));
        foreach (var wrong in new[] { "gpu", "cuda:x", "cuda:1:2", "" })
            Assert.Contains("cpu, cuda and cuda:0 are", Assert.Throws<ArgumentException>(() => device(wrong)).Message);
    }
}
