namespace Trainer.Data.Tests;

public sealed class BatchTests
{
    private static readonly Batch Rows = new([1, 2, 3, 4, 5, 6, 7, 8], [2, 3, 4, 5, 6, Batch.Ignored, 8, 9], 2, 4) { Positions = [0, 1, 2, 3, 0, 1, 2, 3], PositionLimit = 9 };

    [Theory]
    [InlineData(1, new long[] { 2, 3, 4, 5, 6, Batch.Ignored, 8, 9 })]
    [InlineData(2, new long[] { Batch.Ignored, 3, 4, 5, Batch.Ignored, Batch.Ignored, 8, 9 })]
    [InlineData(4, new long[] { Batch.Ignored, Batch.Ignored, Batch.Ignored, 5, Batch.Ignored, Batch.Ignored, Batch.Ignored, 9 })]
    [InlineData(50, new long[] { Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored, Batch.Ignored })]
    public void Tokens_of_a_prefix_are_no_targets_and_do_not_count(int prefix, long[] targets)
    {
        var batch = Rows.BehindPrefix(prefix);
        Assert.Equal(targets, batch.Targets);
        Assert.Equal(targets.Count(target => target != Batch.Ignored), batch.TargetTokens);
        Assert.Equal((Rows.Inputs, Rows.Positions, 9), (batch.Inputs, batch.Positions, batch.PositionLimit!.Value));
        Assert.Equal(7, Rows.TargetTokens);   // what it is made of stays as it is
    }
}
