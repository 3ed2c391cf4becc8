using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Trainer.Data.Tests.Parquet;

/// <summary>Writes the smallest Parquet files that hold what no other writer would write.</summary>
internal static class ParquetPages
{
    /// <summary>A page as it stands in a file.</summary>
    /// <param name="content">What follows its header.</param>
    /// <param name="values">The values it says it has.</param>
    /// <param name="size">Its size when decompressed; that of the content when absent.</param>
    /// <param name="encoding">How its values are encoded.</param>
    /// <param name="levels">How its definition levels are.</param>
    /// <param name="crc">Its checksum, if it has one.</param>
    /// <param name="isDictionary">Whether it is one.</param>
    /// <param name="stored">Its size in the file as the header has it; that of the content when absent.</param>
    public static byte[] Page(
        byte[] content, int values, int? size = null, int encoding = 0, int levels = 3, uint? crc = null, bool isDictionary = false,
        int? stored = null)
    {
        var thrift = new Compact().Int(1, isDictionary ? 2 : 0).Int(2, size ?? content.Length).Int(3, stored ?? content.Length);
        if (crc is { } sum)
            thrift.Int(4, unchecked((int)sum));
        thrift.Struct(isDictionary ? 7 : 5, header => header.Int(1, values).Int(2, encoding).Int(3, levels).Int(4, 3));
        return [.. thrift.Stop(), .. content];
    }

    /// <summary>A file with one column <c>text</c> and one row group.</summary>
    /// <param name="rows">The rows it says it has.</param>
    /// <param name="codec">The codec of its pages.</param>
    /// <param name="isOptional">Whether values may be null.</param>
    /// <param name="pages">Its pages.</param>
    public static byte[] File(int rows, int codec, bool isOptional, params byte[][] pages) => File(rows, codec, isOptional, 3, pages);

    /// <summary>The same, whose footer says that levels or values have this encoding.</summary>
    public static byte[] File(int rows, int codec, bool isOptional, int encoding, byte[][] pages)
    {
        byte[] data = [.. pages.SelectMany(page => page)];
        var footer = new Compact()
            .Int(1, 1)
            .List(2, root => root.Text(4, "schema").Int(5, 1), leaf => leaf.Int(1, 6).Int(3, isOptional ? 1 : 0).Text(4, "text").Int(6, 0))
            .Long(3, rows)
            .List(4, group => group
                .List(1, chunk => chunk.Long(2, 4).Struct(3, column => column
                    .Int(1, 6).Ints(2, encoding).Texts(3, "text").Int(4, codec).Long(5, rows).Long(6, data.Length).Long(7, data.Length).Long(9, 4)))
                .Long(2, data.Length).Long(3, rows))
            .Stop();
        return [.. "PAR1"u8, .. data, .. footer, .. BitConverter.GetBytes(footer.Length), .. "PAR1"u8];
    }

    /// <summary>Values as PLAIN has them.</summary>
    public static byte[] Plain(params string[] values) =>
        [.. values.SelectMany(value => BitConverter.GetBytes(Encoding.UTF8.GetByteCount(value)).Concat(Encoding.UTF8.GetBytes(value)))];

    public static uint Crc(byte[] content) => Crc32.HashToUInt32(content);

    /// <summary>Big-endian, as Hadoop writes numbers.</summary>
    public static byte[] BigEndian(int value)
    {
        var bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, value);
        return bytes;
    }

    /// <summary>Structs of the Thrift compact protocol.</summary>
    internal sealed class Compact
    {
        private readonly List<byte> bytes = [];
        private int last;

        public Compact Int(int id, int value) => Field(id, 5).Varint((ulong)(uint)((value << 1) ^ (value >> 31)));

        public Compact Long(int id, long value) => Field(id, 6).Varint((ulong)((value << 1) ^ (value >> 63)));

        public Compact Text(int id, string value) => Field(id, 8).Characters(value);

        /// <summary>A list of one number.</summary>
        public Compact Ints(int id, int value)
        {
            Field(id, 9).bytes.Add(1 << 4 | 5);
            return Varint((ulong)(uint)((value << 1) ^ (value >> 31)));
        }

        /// <summary>A list of one text.</summary>
        public Compact Texts(int id, string value)
        {
            Field(id, 9).bytes.Add(1 << 4 | 8);
            return Characters(value);
        }

        public Compact Struct(int id, Action<Compact> fill)
        {
            Field(id, 12);
            return Element(fill);
        }

        public Compact List(int id, params Action<Compact>[] elements)
        {
            Field(id, 9);
            bytes.Add((byte)(elements.Length << 4 | 12));
            foreach (var element in elements)
                Element(element);
            return this;
        }

        public byte[] Stop() => [.. bytes, 0];

        private Compact Element(Action<Compact> fill)
        {
            var inner = new Compact();
            fill(inner);
            bytes.AddRange(inner.Stop());
            return this;
        }

        private Compact Characters(string value)
        {
            Varint((ulong)value.Length);
            bytes.AddRange(Encoding.ASCII.GetBytes(value));
            return this;
        }

        private Compact Field(int id, int type)
        {
            bytes.Add((byte)((id - last) << 4 | type));
            last = id;
            return this;
        }

        private Compact Varint(ulong value)
        {
            for (; value >= 0x80; value >>= 7)
                bytes.Add((byte)(value | 0x80));
            bytes.Add((byte)value);
            return this;
        }
    }
}
