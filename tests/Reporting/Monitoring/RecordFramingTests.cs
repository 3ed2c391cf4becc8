using System.Text;
using Trainer.Reporting.Monitoring;

namespace Trainer.Reporting.Tests.Monitoring;

public class RecordFramingTests
{
    // Check value of the CRC catalogue, and the vectors of RFC 3720 appendix B.4.
    [Fact]
    public void Checksum_is_Castagnolis()
    {
        Assert.Equal(0xe3069283u, RecordFraming.Crc32C("123456789"u8));
        Assert.Equal(0x8a9136aau, RecordFraming.Crc32C(new byte[32]));
        Assert.Equal(0x62a8ab43u, RecordFraming.Crc32C(Enumerable.Repeat((byte)0xff, 32).ToArray()));
        Assert.Equal(0x46dd794eu, RecordFraming.Crc32C(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
        Assert.Equal(0u, RecordFraming.Crc32C([]));
    }

    [Fact]
    public void Record_of_24_bytes_begins_as_every_event_file_of_TensorFlow_does()
    {
        // The version event "brain.Event:2" is 24 bytes long, so event files written by TensorFlow and PyTorch start like this.
        var record = RecordFraming.Frame(new byte[24]);

        Assert.Equal("1800000000000000A37F4B22", Convert.ToHexString(record.AsSpan(0, 12)));
    }

    [Fact]
    public void Record_is_length_checksum_data_checksum()
    {
        var record = RecordFraming.Frame(Encoding.ASCII.GetBytes("123456789"));

        // Masked crc32c("123456789") = rotr(0xe3069283, 15) + 0xa282ead8 = 0x2507c60d + 0xa282ead8 = 0xc78ab0e5
        Assert.Equal("0900000000000000", Convert.ToHexString(record.AsSpan(0, 8)));
        Assert.Equal("313233343536373839", Convert.ToHexString(record.AsSpan(12, 9)));
        Assert.Equal("E5B08AC7", Convert.ToHexString(record.AsSpan(21)));
        Assert.Equal(9 + RecordFraming.Overhead, record.Length);
    }
}
