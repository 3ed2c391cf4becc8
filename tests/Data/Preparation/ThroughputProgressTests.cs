using Trainer.Data.Preparation;

namespace Trainer.Data.Tests.Preparation;

public sealed class ThroughputProgressTests
{
    [Fact]
    public void Progress_says_how_far_how_fast_and_how_long() =>
        Assert.Equal(
            "encoding data.train: 25 %, 500 MB, 50.0 MB/s, 0:00:30 left",
            ThroughputProgress.Describe("encoding data.train", 500_000_000, 2_000_000_000, TimeSpan.FromSeconds(10)));

    [Fact]
    public void Without_a_total_it_says_how_fast() =>
        Assert.Equal("reading data.train: 30 MB, 15.0 MB/s",
            ThroughputProgress.Describe("reading data.train", 30_000_000, null, TimeSpan.FromSeconds(2)));
}
