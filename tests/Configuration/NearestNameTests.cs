using FsCheck;
using FsCheck.Fluent;
using Trainer.Configuration.Binding;

namespace Trainer.Configuration.Tests;

public sealed class NearestNameTests
{
    [Theory]
    [InlineData("hedas", "heads")]
    [InlineData("HEADS", "heads")]
    [InlineData("keyValueHead", "keyValueHeads")]
    [InlineData("stps", "steps")]
    [InlineData("x", null)]
    [InlineData("dimension", null)]
    public void The_nearest_name_is_found_if_any_is_near(string written, string? expected) =>
        Assert.Equal(expected, NearestName.Of(written, ["heads", "keyValueHeads", "steps", "dim"]));

    [Fact]
    public void Distance_is_symmetric_bounded_and_zero_for_equal_words_only()
    {
        Prop.ForAll<NonNull<string>, NonNull<string>>((a, b) =>
        {
            var distance = NearestName.Distance(a.Get, b.Get);
            return distance == NearestName.Distance(b.Get, a.Get)
                && distance <= Math.Max(a.Get.Length, b.Get.Length)
                && distance == 0 == (a.Get == b.Get);
        }).QuickCheckThrowOnFailure();
    }
}
