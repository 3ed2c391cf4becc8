using FsCheck.Fluent;

namespace Trainer.Data.Tests;

public sealed class KeyedPermutationTests
{
    [Fact]
    public void Every_element_comes_once_whatever_size_and_key() =>
        Prop.ForAll(Gen.Choose(1, 3000).Zip(ArbMap.Default.GeneratorFor<ulong>()).ToArbitrary(), choice =>
        {
            var permutation = new KeyedPermutation(choice.Item1, choice.Item2);
            var elements = Enumerable.Range(0, choice.Item1).Select(index => permutation[index]).Order();
            Assert.Equal(Enumerable.Range(0, choice.Item1).Select(index => (long)index), elements);
        }).Holds();

    [Fact]
    public void Large_sizes_stay_in_range()
    {
        var permutation = new KeyedPermutation(long.MaxValue, 1);
        Assert.All([0, 1, long.MaxValue - 1], index => Assert.InRange(permutation[index], 0, long.MaxValue - 1));
    }

    [Fact]
    public void The_order_looks_random()
    {
        const int size = 10_000;
        var permutation = new KeyedPermutation(size, 42);
        var elements = Enumerable.Range(0, size).Select(index => permutation[index]).ToArray();
        var correlation = elements.Select((element, index) => (element - size / 2.0) * (index - size / 2.0))
            .Sum() / (Math.Pow(size, 3) / 12);
        Assert.InRange(correlation, -0.05, 0.05);
        var neighbours = elements.Zip(elements.Skip(1)).Count(pair => Math.Abs(pair.First - pair.Second) == 1);
        Assert.InRange(neighbours, 0, 20);   // 2 expected
        Assert.InRange(elements.Where((element, index) => element == index).Count(), 0, 10);   // 1 expected
    }
}
