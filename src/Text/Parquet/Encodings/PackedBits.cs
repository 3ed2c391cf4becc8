using System.Buffers.Binary;

namespace Trainer.Text.Parquet;

/// <summary>Numbers of up to 32 bits, packed from the lowest bit of each byte up.</summary>
internal static class PackedBits
{
    /// <summary>Reads one number, which the caller knows to lie within the bytes.</summary>
    /// <param name="bytes">The packed numbers.</param>
    /// <param name="from">The byte in which the number begins.</param>
    /// <param name="shift">Its first bit in that byte, 0 to 7.</param>
    /// <param name="width">Its bits, 0 to 32.</param>
    public static uint Read(ReadOnlySpan<byte> bytes, int from, int shift, int width)
    {
        ulong word = 0;
        if (from + 8 <= bytes.Length)
            word = BinaryPrimitives.ReadUInt64LittleEndian(bytes[from..]);
        else
            for (var i = from; i < bytes.Length; i++)
                word |= (ulong)bytes[i] << (8 * (i - from));
        return (uint)(word >> shift & ((1UL << width) - 1));
    }
}
