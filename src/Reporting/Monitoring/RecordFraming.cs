using System.Buffers.Binary;
using System.IO.Hashing;
using System.Numerics;

namespace Trainer.Reporting.Monitoring;

/// <summary>The TFRecord framing of TensorBoard's event files.</summary>
/// <remarks>A record is: length (8 bytes, little-endian), masked CRC-32C of those 8 bytes (4), the data, masked CRC-32C
/// of the data (4). The mask keeps a checksum of data that itself holds checksums from degenerating:
/// <c>((crc &gt;&gt; 15) | (crc &lt;&lt; 17)) + 0xa282ead8</c>.</remarks>
internal static class RecordFraming
{
    /// <summary>Bytes that the framing adds to the data of a record.</summary>
    public const int Overhead = sizeof(ulong) + sizeof(uint) + sizeof(uint);

    private const int HeaderSize = sizeof(ulong) + sizeof(uint);
    private const uint MaskDelta = 0xa282ead8;

    /// <summary>The whole record around <paramref name="data"/>, in one array, so that one write puts it on disk.</summary>
    public static byte[] Frame(ReadOnlySpan<byte> data)
    {
        var record = new byte[data.Length + Overhead];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(sizeof(ulong)), Mask(Crc32C(record.AsSpan(0, sizeof(ulong)))));
        data.CopyTo(record.AsSpan(HeaderSize));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(HeaderSize + data.Length), Mask(Crc32C(data)));
        return record;
    }

    /// <summary>CRC-32C (Castagnoli) of <paramref name="data"/>; of the ASCII digits 1 to 9 it is 0xe3069283.</summary>
    public static uint Crc32C(ReadOnlySpan<byte> data) => Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, data);

    /// <summary>The checksum as it stands in the file.</summary>
    public static uint Mask(uint crc) => BitOperations.RotateRight(crc, 15) + MaskDelta;
}
