using TorchSharp;
using Trainer.Tests;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Trainer.Kernels.Tests;

public sealed class BlockQuantizationTests
{
    [Fact]
    public void Numbers_are_rounded_as_the_format_says()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(1);
        Tensor numbers = randn(7, 96).mul(tensor(new float[] { 0, 1e-38f, 1e-8f, 1e-3f, 1, 40, 1e4f }).unsqueeze(1));

        Tensor blocks = BlockQuantization.Pack(numbers);

        Assert.Equal((ScalarType.Int8, 7L, 102L), (blocks.dtype, blocks.size(0), blocks.size(1)));
        Assert.Equal(Expected(numbers.data<float>().ToArray()), blocks.bytes.ToArray());
    }

    [Fact]
    public unsafe void Every_scale_is_widened_exactly()
    {
        for (int bits = 0; bits <= ushort.MaxValue; bits++)
        {
            ushort scale = (ushort)bits;
            Assert.Equal((float)BitConverter.UInt16BitsToHalf(scale), BlockQuantization.Scale((byte*)&scale));
        }
    }

    [Fact]
    public void Halves_go_away_from_zero_and_what_is_below_does_not()
    {
        using DisposeScope scope = NewDisposeScope();
        float[] numbers = new float[32];
        (numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]) = (
            127, 0.5f, -2.5f, MathF.BitDecrement(0.5f), MathF.BitIncrement(-3.5f));
        sbyte[] rounded = BlockQuantization.Pack(tensor(numbers)).data<sbyte>().ToArray();
        Assert.Equal([127, 1, -3, 0, -3], rounded[2..7]);
    }

    [Fact]
    public void Blocks_stand_for_numbers_near_those_they_were_made_of()
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(2);
        Tensor numbers = randn(3, 5, 64);
        Tensor back = BlockQuantization.Unpack(BlockQuantization.Pack(numbers));
        Tensor step = numbers.view(3, 5, 2, 32).abs().max(-1, keepdim: true).values.div(127);
        // Half a step, and what float16 rounds off the scale, of up to 127 steps.
        Assert.True(back.sub(numbers).view(3, 5, 2, 32).abs().le(step.mul(0.5 + 127.0 / 2048)).all().item<bool>());
        TensorAssert.Same(BlockQuantization.Pack(numbers), BlockQuantization.Pack(back));
    }

    [Theory]
    [InlineData(1, 64, 7)]
    [InlineData(3, 96, 12)]
    [InlineData(8, 32, 1)]
    [InlineData(9, 160, 30)]
    [InlineData(50, 512, 1100)]
    public void A_product_is_that_of_the_numbers_that_blocks_stand_for(int rows, int inputs, int outputs)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(3);
        Tensor x = randn(2, rows, inputs), blocks = BlockQuantization.Pack(randn(outputs, inputs)), bias = randn(outputs);
        Tensor exact = BlockQuantization.Unpack(blocks).to_type(ScalarType.Float64);
        Tensor expected = functional.linear(x.to_type(ScalarType.Float64), exact, bias.to_type(ScalarType.Float64)).to_type(
            ScalarType.Float32);
        TensorAssert.Close(expected, BlockQuantization.Linear(x, blocks, bias), 1e-5 * Math.Sqrt(inputs));
        TensorAssert.Close(expected.sub(bias), BlockQuantization.Linear(x, blocks), 1e-5 * Math.Sqrt(inputs));
    }

    [Fact]
    public void What_cannot_be_is_said()
    {
        using DisposeScope scope = NewDisposeScope();
        Assert.Contains("multiples of 32 long, not [2, 33]",
            Assert.Throws<TorchException>(() => BlockQuantization.Pack(zeros(2, 33))).Message);
        Assert.Contains("34 bytes each, not [2, 35]",
            Assert.Throws<TorchException>(() => BlockQuantization.Unpack(zeros([2, 35], ScalarType.Int8))).Message);
        Tensor blocks = BlockQuantization.Pack(zeros(4, 32));
        Assert.Contains("take rows of 32", Assert.Throws<TorchException>(() => BlockQuantization.Linear(zeros(1, 64), blocks)).Message);
        Assert.Contains("no backward pass",
            Assert.Throws<TorchException>(() => BlockQuantization.Linear(zeros([1, 32], requires_grad: true), blocks)).Message);
    }

    // The format's own words: d = max |x| / 127 as float16, q = round(x / d).
    private static byte[] Expected(float[] numbers)
    {
        List<byte> bytes = [];
        foreach (float[] block in numbers.Chunk(32))
        {
            float scale = block.Max(MathF.Abs) / 127, inverse = scale == 0 || !float.IsFinite(1 / scale) ? 0 : 1 / scale;
            bytes.AddRange(BitConverter.GetBytes((Half)scale));
            bytes.AddRange(block.Select(number => unchecked((byte)(sbyte)MathF.Round(number * inverse, MidpointRounding.AwayFromZero))));
        }
        return [.. bytes];
    }
}
