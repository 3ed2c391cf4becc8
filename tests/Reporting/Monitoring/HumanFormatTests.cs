using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Tests.Monitoring;

public class HumanFormatTests
{
    [Theory]
    [InlineData(0, "0")]
    [InlineData(950, "950")]
    [InlineData(12.345, "12.3")]
    [InlineData(0.7431, "0.74")]
    [InlineData(999.99, "1000")]
    [InlineData(1000, "1.00k")]
    [InlineData(13_240, "13.2k")]
    [InlineData(99_960, "100k")]
    [InlineData(999_499, "999k")]
    [InlineData(999_600, "1.00M")]
    [InlineData(1_049_000, "1.05M")]
    [InlineData(7_240_000_000, "7.24B")]
    [InlineData(5e15, "5000T")]
    [InlineData(-13_240, "-13.2k")]
    [InlineData(double.NaN, "NaN")]
    public void A_compact_number_has_three_digits(double value, string expected) => Assert.Equal(expected, HumanFormat.Compact(value));

    [Theory]
    [InlineData(6_528, "6,528")]
    [InlineData(49_900, "0.05 M")]
    [InlineData(804_096, "0.80 M")]
    [InlineData(10_788_929, "10.8 M")]
    [InlineData(124_439_808, "124 M")]
    [InlineData(999_600_000, "1.00 B")]
    [InlineData(7_241_732_096, "7.24 B")]
    public void Parameters_are_counted_in_millions_and_billions(long count, string expected) =>
        Assert.Equal(expected, HumanFormat.Parameters(count));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1.00 KiB")]
    [InlineData(1_048_000, "1023 KiB")]
    [InlineData(1_048_575, "1.00 MiB")]
    [InlineData(1_610_612_736, "1.50 GiB")]
    public void Bytes_are_counted_in_powers_of_1024(long bytes, string expected) => Assert.Equal(expected, HumanFormat.Bytes(bytes));

    [Theory]
    [InlineData(0.0004, "0.40 ms")]
    [InlineData(0.0382, "38.2 ms")]
    [InlineData(0.9996, "1.00 s")]
    [InlineData(4.214, "4.21 s")]
    [InlineData(9.997, "0:10")]
    [InlineData(92, "1:32")]
    [InlineData(3599.7, "1:00:00")]
    [InlineData(7390, "2:03:10")]
    [InlineData(86399.9, "1 d 00:00")]
    [InlineData(274_200, "3 d 04:10")]
    public void A_duration_is_as_exact_as_it_is_short(double seconds, string expected) =>
        Assert.Equal(expected, HumanFormat.Duration(TimeSpan.FromSeconds(seconds)));

    [Theory]
    [InlineData(45, "45 s")]
    [InlineData(59.7, "1 min 00 s")]
    [InlineData(198, "3 min 20 s")]
    [InlineData(599, "10 min")]
    [InlineData(1440, "24 min")]
    [InlineData(3590, "1 h 00 min")]
    [InlineData(7500, "2 h 05 min")]
    [InlineData(86_390, "1 d 0 h")]
    [InlineData(273_600, "3 d 4 h")]
    public void An_estimate_is_rounded_to_what_it_can_claim(double seconds, string expected) =>
        Assert.Equal(expected, HumanFormat.Estimate(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public void Counts_rates_losses_and_shares_have_their_forms()
    {
        Assert.Equal("1,240", HumanFormat.Number(1240));
        Assert.Equal("1 record", HumanFormat.Counted(1, "record"));
        Assert.Equal("1,240 records", HumanFormat.Counted(1240, "record"));
        Assert.Equal("8.2e-4", HumanFormat.Rate(8.2e-4));
        Assert.Equal("0", HumanFormat.Rate(0));
        Assert.Equal("1.8312", HumanFormat.Loss(1.83124));
        Assert.Equal("NaN", HumanFormat.Loss(double.NaN));
        Assert.Equal("62 %", HumanFormat.Percent(0.62));
    }
}
