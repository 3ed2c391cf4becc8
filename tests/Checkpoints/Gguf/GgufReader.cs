using System.Text;

namespace Trainer.Checkpoints.Tests.Gguf;

/// <summary>Reads GGUF by its specification, and checks what the specification demands of the layout.</summary>
internal sealed class GgufReader
{
    private readonly BinaryReader reader;

    public GgufReader(byte[] bytes)
    {
        reader = new(new MemoryStream(bytes), Encoding.UTF8);
        Assert.Equal("GGUF"u8.ToArray(), reader.ReadBytes(4));
        Assert.Equal(3u, reader.ReadUInt32());
        ulong tensors = reader.ReadUInt64(), entries = reader.ReadUInt64();
        for (ulong i = 0; i < entries; i++) Metadata.Add(Text(), Value(reader.ReadUInt32()));
        List<(string Name, long[] Shape, uint Type, ulong Offset)> infos = [];
        for (ulong i = 0; i < tensors; i++) infos.Add((Text(), Shape(), reader.ReadUInt32(), reader.ReadUInt64()));
        long start = (reader.BaseStream.Position + 31) / 32 * 32;
        ulong end = 0;
        foreach (var (name, shape, type, offset) in infos)
        {
            Assert.Equal(0ul, offset % 32);
            Assert.Equal((end + 31) / 32 * 32, offset); // one after the other, without gaps but for the alignment
            long count = shape.Aggregate(1L, (product, extent) => product * extent);
            long length = type switch { 0 =>
                4 * count, 1 or 30 => 2 * count, 8 => count / 32 * 34, _ => throw new NotSupportedException($"type {type}") };
            end = offset + (ulong)length;
            Tensors.Add(name, new(shape, type, bytes.AsSpan((int)(start + (long)offset), (int)length).ToArray()));
        }
        Assert.Equal(start + (long)((end + 31) / 32 * 32), bytes.Length);
    }

    public Dictionary<string, object> Metadata { get; } = [];

    public Dictionary<string, GgufEntry> Tensors { get; } = [];

    private string Text() => Encoding.UTF8.GetString(reader.ReadBytes(checked((int)reader.ReadUInt64())));

    // From the innermost extent, so the reverse of ours.
    private long[] Shape() => [.. Enumerable.Range(0, (int)reader.ReadUInt32()).Select(_ => reader.ReadInt64()).ToArray().Reverse()];

    private object Value(uint type) => type switch
    {
        4 => reader.ReadUInt32(),
        5 => reader.ReadInt32(),
        6 => reader.ReadSingle(),
        7 => reader.ReadByte() != 0,
        8 => Text(),
        9 => Items(reader.ReadUInt32(), reader.ReadUInt64()),
        _ => throw new NotSupportedException($"value of type {type}"),
    };

    private object[] Items(uint type, ulong count) => [.. Enumerable.Range(0, (int)count).Select(_ => Value(type))];
}

/// <summary>A tensor as it lies in the file.</summary>
internal sealed record GgufEntry(long[] Shape, uint Type, byte[] Data)
{
    /// <summary>Its numbers.</summary>
    public float[] Numbers => Type switch
    {
        0 => [.. Data.Chunk(4).Select(bytes => BitConverter.ToSingle(bytes))],
        1 => [.. Data.Chunk(2).Select(bytes => (float)BitConverter.ToHalf(bytes))],
        30 => [.. Data.Chunk(2).Select(bytes => BitConverter.Int32BitsToSingle(BitConverter.ToUInt16(bytes) << 16))],
        _ => [.. Data.Chunk(34).SelectMany(
            block => block.Skip(2).Select(number => (sbyte)number * (float)BitConverter.ToHalf(block.AsSpan(0, 2))))],
    };
}
