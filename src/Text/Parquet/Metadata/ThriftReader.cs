using System.Text;

namespace Trainer.Text.Parquet;

/// <summary>Types of the Thrift compact protocol, as they stand in fields and lists.</summary>
internal enum ThriftType : byte
{
    Stop, True, False, Byte, Int16, Int32, Int64, Double, Binary, List, Set, Map, Struct, Uuid,
}

/// <summary>Reads the Thrift compact protocol (thrift-compact-protocol.md), trusting nothing: every length is held against the bytes that are left.</summary>
/// <param name="bytes">The bytes.</param>
/// <param name="origin">Where they stand in their file, for messages.</param>
internal ref struct ThriftReader(ReadOnlySpan<byte> bytes, long origin)
{
    private const int DeepestNesting = 64;

    private readonly ReadOnlySpan<byte> bytes = bytes;
    private int position;

    /// <summary>How many bytes were read.</summary>
    public readonly int Position => position;

    /// <summary>Reads the header of a struct's next field.</summary>
    /// <param name="id">The id of the field before, 0 at the beginning; becomes this one's.</param>
    /// <returns>Its type, or <see cref="ThriftType.Stop"/> at the end of the struct.</returns>
    public ThriftType Field(ref short id)
    {
        var header = Byte();
        var type = (ThriftType)(header & 0x0F);
        if (type == ThriftType.Stop)
            return type;
        if (type > ThriftType.Uuid)
            throw Damage($"a field has type {(int)type}, which Thrift does not know");
        id = header >> 4 is > 0 and var delta ? (short)(id + delta) : (short)ZigZag(Varint());
        return type;
    }

    /// <summary>Reads the header of a list, whose elements follow.</summary>
    public (ThriftType Element, int Count) List()
    {
        var header = Byte();
        var type = (ThriftType)(header & 0x0F);
        var count = header >> 4 is < 15 and var small ? (ulong)small : Varint();
        if (type is ThriftType.Stop or > ThriftType.Uuid)
            throw Damage($"a list has elements of type {(int)type}, which Thrift does not know");
        if (count > (ulong)(bytes.Length - position))   // no element takes less than a byte
            throw Damage($"a list of {count} elements is longer than the {bytes.Length - position} bytes that are left");
        return (type, (int)count);
    }

    /// <summary>Reads a list that must have elements of one type.</summary>
    public int List(ThriftType element)
    {
        var (type, count) = List();
        return count == 0 || type == element ? count : throw Damage($"a list has elements of type {type}, not {element}");
    }

    public int Int32() => (int)ZigZag(Varint());

    public long Int64() => ZigZag(Varint());

    public string String() => Encoding.UTF8.GetString(Binary());

    public ReadOnlySpan<byte> Binary()
    {
        var length = Varint();
        if (length > (ulong)(bytes.Length - position))
            throw Damage($"a string of {length} bytes is longer than the {bytes.Length - position} bytes that are left");
        var value = bytes.Slice(position, (int)length);
        position += (int)length;
        return value;
    }

    /// <summary>Passes over a value.</summary>
    /// <param name="type">Its type, as its field says.</param>
    /// <param name="depth">How deep it is nested.</param>
    /// <param name="inList">Whether it is an element: booleans take a byte there, and none in fields.</param>
    public void Skip(ThriftType type, int depth = 0, bool inList = false)
    {
        if (depth > DeepestNesting)
            throw Damage($"values are nested deeper than {DeepestNesting}");
        switch (type)
        {
            case ThriftType.True or ThriftType.False:
                position += inList ? Need(1) : 0;
                break;
            case ThriftType.Byte:
                position += Need(1);
                break;
            case ThriftType.Int16 or ThriftType.Int32 or ThriftType.Int64:
                Varint();
                break;
            case ThriftType.Double:
                position += Need(8);
                break;
            case ThriftType.Uuid:
                position += Need(16);
                break;
            case ThriftType.Binary:
                Binary();
                break;
            case ThriftType.List or ThriftType.Set:
                var (element, count) = List();
                for (; count > 0; count--)
                    Skip(element, depth + 1, inList: true);
                break;
            case ThriftType.Map:
                SkipMap(depth);
                break;
            case ThriftType.Struct:
                for (short id = 0; Field(ref id) is var field and not ThriftType.Stop;)
                    Skip(field, depth + 1);
                break;
            default:
                throw Damage($"a value has type {type}");
        }
    }

    /// <summary>Damage at the current position.</summary>
    public readonly ParquetError Damage(string message) => new(message, origin + position);

    private void SkipMap(int depth)
    {
        var count = Varint();
        if (count == 0)
            return;
        var types = Byte();
        if (count > (ulong)(bytes.Length - position))
            throw Damage($"a map of {count} entries is longer than the {bytes.Length - position} bytes that are left");
        for (; count > 0; count--)
        {
            Skip((ThriftType)(types >> 4), depth + 1, inList: true);
            Skip((ThriftType)(types & 0x0F), depth + 1, inList: true);
        }
    }

    private byte Byte()
    {
        Need(1);
        return bytes[position++];
    }

    private ulong Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 70; shift += 7)
        {
            var next = Byte();
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return value;
        }
        throw Damage("a number takes more than ten bytes");
    }

    private static long ZigZag(ulong value) => (long)(value >> 1) ^ -(long)(value & 1);

    private readonly int Need(int count) => count <= bytes.Length - position ? count : throw new ThriftEnd(origin + position);
}

/// <summary>The bytes ended inside a value: a reader that holds a part of its source reads more, any other reports damage.</summary>
internal sealed class ThriftEnd(long offset) : Exception($"the metadata ends at byte {offset}, inside a value")
{
    public long Offset => offset;
}
