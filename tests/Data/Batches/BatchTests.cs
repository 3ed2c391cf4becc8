using Trainer.Data.Batches;

namespace Trainer.Data.Tests.Batches;

public sealed class BatchTests
{
    private static readonly Batch Rows = new([1, 2, 3, 4, 5, 6, 7, 8], [2, 3, 4, 5, 6, Batch.Ignored, 8, 9], 2, 4)
    {
        Positions = [0, 1, 2, 3, 0, 1, 2, 3], PositionLimit = 9, Lengths = [4, 3],
    };

    [Theory]
    [InlineData(1, new long[] { 2, 3, 4, 5, 6, Batch.Ignored, 8, 9 })]
    [InlineData(2, new long[] { Batch.Ignored, 3, 4, 5, Batch.Ignored, Batch.Ignored, 8, 9 })]
    [InlineData(4, new long[] { Batch.Ignored, Batch.Ignored, Batch.Ignored, 5, Batch.Ignored, Batch.Ignored, Batch.Ignored, 9 })]
    [InlineData(50,
        new long[] { Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored,
        Batch.Ignored })]
    public void Tokens_of_a_prefix_are_no_targets_and_do_not_count(int prefix, long[] targets)
    {
        var batch = Rows.WithoutPrefixTargets(prefix);
        Assert.Equal(targets, batch.Targets);
        Assert.Equal(targets.Count(target => target != Batch.Ignored), batch.TargetTokens);
        Assert.Equal((Rows.Inputs, Rows.Positions, 9), (batch.Inputs, batch.Positions, batch.PositionLimit!.Value));
        Assert.Equal([4, 3], batch.Lengths!);
        Assert.Equal(7, Rows.TargetTokens);   // what it is made of stays as it is
    }
}

public sealed class BatchPartTests
{
    [Theory]
    [InlineData(12, 2)]
    [InlineData(5, 3)]
    [InlineData(1, 4)]
    public void Parts_in_order_are_the_whole(int rows, int count)
    {
        long[] inputs = [.. Enumerable.Range(0, rows * 3).Select(i => (long)i)];
        var batch = new Batch(inputs, [.. inputs.Select(i => i % 5 == 0 ? Batch.Ignored : i)], rows, 3)
        {
            Lengths = [.. Enumerable.Range(0, rows).Select(row => row % 4)],
        };
        Batch[] parts = [.. Enumerable.Range(0, count).Select(index => batch.Part(index, count))];

        Assert.Equal(batch.Inputs, parts.SelectMany(part => part.Inputs));
        Assert.Equal(batch.Targets, parts.SelectMany(part => part.Targets));
        Assert.Equal(batch.Lengths!, parts.SelectMany(part => part.Lengths!));
        Assert.Equal(batch.TargetTokens, parts.Sum(part => part.TargetTokens));
        Assert.True(parts.Max(part => part.Rows) - parts.Min(part => part.Rows) <= 1);
    }
}
