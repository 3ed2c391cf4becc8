namespace Trainer.Data.Tests.Batches;

public sealed class BatchPartTests
{
    [Theory]
    [InlineData(12, 2)]
    [InlineData(5, 3)]
    [InlineData(1, 4)]
    public void Parts_in_order_are_the_whole(int rows, int count)
    {
        long[] inputs = [.. Enumerable.Range(0, rows * 3).Select(i => (long)i)];
        var batch = new Batch(inputs, [.. inputs.Select(i => i % 5 == 0 ? Batch.Ignored : i)], rows, 3);
        Batch[] parts = [.. Enumerable.Range(0, count).Select(index => batch.Part(index, count))];

        Assert.Equal(batch.Inputs, parts.SelectMany(part => part.Inputs));
        Assert.Equal(batch.Targets, parts.SelectMany(part => part.Targets));
        Assert.Equal(batch.TargetTokens, parts.Sum(part => part.TargetTokens));
        Assert.True(parts.Max(part => part.Rows) - parts.Min(part => part.Rows) <= 1);
    }
}
