namespace Trainer.Training.Tests;

public sealed class StepRangeTests
{
    [Fact]
    public void Two_numbers_are_a_range() => Assert.Equal((20L, 30L), StepRange.Parse("20:30"));

    [Theory]
    [InlineData("20")]
    [InlineData("20:")]
    [InlineData("-1:3")]
    [InlineData("1:2:3")]
    [InlineData("1: 2")]
    [InlineData("1:99999999999999999999")]
    public void Anything_else_is_none(string text) => Assert.Null(StepRange.Parse(text));
}
