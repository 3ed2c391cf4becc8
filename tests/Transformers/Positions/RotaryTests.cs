using TorchSharp;
using Trainer.Transformers.Positions;
using static TorchSharp.torch;

namespace Trainer.Transformers.Tests.Positions;

public class RotaryTests
{
    [Fact]
    public void Rotation_at_position_one_has_the_angles_of_the_book()
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(10000, 6, 6, 4);
        // The unit vectors of the first half: each turns towards its partner in the second half.
        double[] cosines = [.5403, .9989, 1.0000], sines = [.8415, .0464, .0022];
        for (int i = 0; i < 3; i++)
        {
            float[] unit = new float[6];
            unit[i] = 1;
            float[] turned = rotary.Rotate(tensor(unit).view(1, 1, 1, 6), Models.At(1)).reshape(-1).data<float>().ToArray();
            Assert.Equal(cosines[i], turned[i], 5e-5);
            Assert.Equal(sines[i], turned[i + 3], 5e-5);
            Assert.Equal(2, turned.Count(value => value != 0));
        }
    }

    [Fact]
    public void Position_zero_stays_as_it_is()
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(10000, 8, 8, 4);
        Tensor heads = randn(1, 1, 2, 8);
        Assert.True(heads.Equals(rotary.Rotate(heads, Models.At(0))));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(4)]
    public void Scores_depend_on_distance_alone(int turned)
    {
        using DisposeScope scope = NewDisposeScope();
        manual_seed(6);
        using RotaryPositions rotary = new(10000, 8, turned, 4);
        Tensor query = randn(1, 1, 1, 8), key = randn(1, 1, 1, 8);
        double Score(int q, int k) => rotary.Rotate(query, Models.At(q)).mul(rotary.Rotate(key, Models.At(k))).sum().item<float>();
        Assert.Equal(Score(5, 2), Score(103, 100), 1e-4);
        Assert.NotEqual(Score(5, 2), Score(5, 3), 1e-3);
    }

    [Fact]
    public void The_part_that_is_not_turned_passes_through()
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(10000, 8, 4, 4);
        Tensor heads = randn(2, 3, 2, 8);
        Tensor turned = rotary.Rotate(heads, Models.At(1));
        Assert.True(heads.narrow(3, 4, 4).Equals(turned.narrow(3, 4, 4)));
        Assert.False(heads.narrow(3, 0, 4).Equals(turned.narrow(3, 0, 4)));
    }

    [Fact]
    public void A_longer_sequence_extends_the_table_without_changing_it()
    {
        using DisposeScope scope = NewDisposeScope();
        using RotaryPositions rotary = new(10000, 8, 8, 2), large = new(10000, 8, 8, 64);
        Tensor heads = randn(1, 40, 1, 8);
        rotary.Rotate(heads.narrow(1, 0, 2), Models.At(0));
        Assert.True(large.Rotate(heads, Models.At(3)).Equals(rotary.Rotate(heads, Models.At(3))));
    }
}
