using Trainer.Models.Attention.Patterns;

namespace Trainer.Models.Tests.Attention.Patterns;

public class BigBirdTests
{
    [Fact]
    public void Each_block_draws_earlier_ones_that_it_does_not_see_anyway_without_repetition()
    {
        RandomLinks links = new(count: 3, globalBlocks: 2, windowBlocks: 4, seed: 1);
        for (int block = 0; block < 200; block++)
        {
            IReadOnlyCollection<int> drawn = links.Of(block);
            Assert.Equal(Math.Clamp(block - 4 + 1 - 2, 0, 3), drawn.Count);
            Assert.Equal(drawn.Count, drawn.Distinct().Count());
            Assert.All(drawn, other => Assert.InRange(other, 2, block - 4));
        }
    }

    [Fact]
    public void The_seed_and_the_block_decide_and_nothing_else()
    {
        RandomLinks once = new(3, 1, 1, 5), again = new(3, 1, 1, 5), other = new(3, 1, 1, 6);
        int[] blocks = [.. Enumerable.Range(10, 50)];
        foreach (int block in blocks.Reverse()) again.Of(block);
        Assert.All(blocks, block => Assert.Equal(once.Of(block), again.Of(block)));
        Assert.Contains(blocks, block => !once.Of(block).SequenceEqual(other.Of(block)));
        // A training run of yesterday must see the same today.
        Assert.Equal([25, 30, 38], once.Of(40));
    }

    [Fact]
    public void Who_has_drawn_a_block_is_known_up_to_any_length()
    {
        RandomLinks links = new(3, 1, 2, 9);
        foreach (int last in (int[])[40, 90, 40])
        for (int block = 0; block < 30; block++)
            Assert.Equal(Enumerable.Range(0, last + 1).Where(drawer => links.Of(drawer).Contains(block)), links.DrawersOf(block, last));
    }

    [Fact]
    public void All_candidates_are_drawn_about_as_often()
    {
        int[] counts = new int[20];
        for (int seed = 0; seed < 4000; seed++)
            foreach (int drawn in new RandomLinks(5, 0, 1, seed).Of(20)) counts[drawn]++;
        // 1000 expected of each, with a deviation of 27.
        Assert.All(counts, count => Assert.InRange(count, 865, 1135));
    }
}
