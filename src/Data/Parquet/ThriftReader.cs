namespace Trainer.Data.Parquet;

internal enum ThriftType
{
    Stop = 0,
    True = 1,
    False = 2,
    Byte = 3,
    Int16 = 4,
    Int32 = 5,
    Int64 = 6,
    Double = 7,
    Binary = 8,
    List = 9,
    Set = 10,
    Map = 11,
    Struct = 12,
    Uuid = 13,
}

/// <summary>Reads structs of Thrift's compact protocol as far as requested, in constant memory. Damage is an
/// <see cref="InvalidDataException"/>.</summary>
internal sealed class ThriftReader(Stream stream)
{
    private const int DeepestNesting = 64;
    private int depth;

    /// <summary><paramref name="read"/> gets each field's number and type, and reads its value and returns true, or leaves it.</summary>
    public void Struct(Func<int, ThriftType, bool> read)
    {
        if (++depth > DeepestNesting)
            throw new InvalidDataException($"structs are nested deeper than {DeepestNesting}");
        var id = 0;
        for (int header; (header = Byte()) != 0;)
        {
            var type = (ThriftType)(header & 15);
            id = header >> 4 is > 0 and var delta ? id + delta : (int)Integer();
            if (!read(id, type))
                Skip(type);
        }
        depth--;
    }

    public void Structs(Action<long> read)
    {
        var (count, type) = List();
        for (var i = 0L; i < count; i++)
        {
            if (type != ThriftType.Struct)
                throw new InvalidDataException($"a list has elements of type {type}, not structs");
            read(i);
        }
    }

    public long Integer()
    {
        var value = Varint();
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    private (long Count, ThriftType Type) List()
    {
        var header = Byte();
        return (header >> 4 is < 15 and var count ? count : (long)Varint(), (ThriftType)(header & 15));
    }

    private void Skip(ThriftType type)
    {
        switch (type)
        {
            case ThriftType.True or ThriftType.False:
                break;
            case ThriftType.Byte:
                Advance(1);
                break;
            case ThriftType.Int16 or ThriftType.Int32 or ThriftType.Int64:
                Varint();
                break;
            case ThriftType.Double:
                Advance(8);
                break;
            case ThriftType.Binary:
                Advance(Varint());
                break;
            case ThriftType.List or ThriftType.Set:
                var (count, element) = List();
                for (var i = 0L; i < count; i++)
                    SkipElement(element);
                break;
            case ThriftType.Map:
                var pairs = Varint();
                var kinds = pairs > 0 ? Byte() : 0;
                for (; pairs > 0; pairs--)
                {
                    SkipElement((ThriftType)(kinds >> 4));
                    SkipElement((ThriftType)(kinds & 15));
                }
                break;
            case ThriftType.Struct:
                Struct((_, _) => false);
                break;
            case ThriftType.Uuid:
                Advance(16);
                break;
            default:
                throw new InvalidDataException($"a value has the unknown type {type}");
        }
    }

    /// <summary>Skips an element of a list or a map, where a truth value takes a byte.</summary>
    private void SkipElement(ThriftType type) => Skip(type is ThriftType.True or ThriftType.False ? ThriftType.Byte : type);

    private ulong Varint()
    {
        var value = 0UL;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Byte();
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
                return value;
        }
        throw new InvalidDataException("a number has more than 64 bits");
    }

    private int Byte() => stream.ReadByte() is >= 0 and var next ? next : throw new InvalidDataException("it ends too early");

    private void Advance(ulong bytes)
    {
        if (bytes > (ulong)(stream.Length - stream.Position))
            throw new InvalidDataException("it ends too early");
        stream.Seek((long)bytes, SeekOrigin.Current);
    }
}
