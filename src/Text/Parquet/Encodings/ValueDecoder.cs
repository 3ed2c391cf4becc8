using System.Buffers.Binary;

namespace Trainer.Text.Parquet;

/// <summary>The values of a page that are there, one after the other.</summary>
internal abstract class ValueDecoder
{
    /// <summary>The next value, valid until the one after it is asked for.</summary>
    /// <exception cref="ParquetError">There is none, or it is damaged.</exception>
    public abstract ReadOnlyMemory<byte> Next();

    /// <summary>Opens the values of a page: one line here for each encoding.</summary>
    /// <param name="encoding">How they are encoded.</param>
    /// <param name="values">Their bytes.</param>
    /// <param name="most">The most values there may be.</param>
    /// <param name="dictionary">The dictionary of the column chunk, if there is one.</param>
    /// <param name="at">Where the page begins in the file, for messages.</param>
    public static ValueDecoder Open(PageEncoding encoding, ReadOnlyMemory<byte> values, int most, PageDictionary? dictionary, long at) => encoding switch
    {
        PageEncoding.Plain => new PlainValues(values, at),
        PageEncoding.RleDictionary or PageEncoding.PlainDictionary => new DictionaryValues(values, dictionary, at),
        PageEncoding.DeltaLengthByteArray => new DeltaLengthValues(values, most, at),
        PageEncoding.DeltaByteArray => new DeltaValues(values, most, at),
        _ => throw new ParquetError($"values are encoded as {encoding}, which is not an encoding of strings", at),
    };
}

/// <summary>PLAIN: each value after its length in four bytes.</summary>
internal sealed class PlainValues(ReadOnlyMemory<byte> values, long at) : ValueDecoder
{
    private int position;

    public override ReadOnlyMemory<byte> Next() => Read(values, ref position, at);

    /// <summary>Reads one value, and goes behind it.</summary>
    public static ReadOnlyMemory<byte> Read(ReadOnlyMemory<byte> values, ref int position, long at)
    {
        var left = values.Length - position - 4;
        if (left < 0)
            throw new ParquetError("a page ends before its last value", at);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(values.Span[position..]);
        if (length > left)
            throw new ParquetError($"a value of {length} bytes is longer than the {left} that are left of its page", at);
        var value = values.Slice(position + 4, (int)length);
        position += 4 + (int)length;
        return value;
    }
}

/// <summary>The distinct values of a column chunk, from its dictionary page.</summary>
internal sealed class PageDictionary
{
    private readonly ReadOnlyMemory<byte> values;
    private readonly int[] positions;

    /// <summary>Finds the entries.</summary>
    /// <param name="values">The page, plainly encoded; it must stay as it is.</param>
    /// <param name="count">The number of entries.</param>
    /// <param name="at">Where the page begins in the file.</param>
    public PageDictionary(ReadOnlyMemory<byte> values, int count, long at)
    {
        if (count > values.Length / 4)
            throw new ParquetError($"a dictionary of {count} entries is in {values.Length} bytes", at);
        this.values = values;
        positions = new int[count];
        for (int index = 0, position = 0; index < count; index++)
        {
            positions[index] = position;
            PlainValues.Read(values, ref position, at);
        }
    }

    /// <summary>An entry.</summary>
    public ReadOnlyMemory<byte> this[uint index, long at]
    {
        get
        {
            if (index >= positions.Length)
                throw new ParquetError($"a value is entry {index} of a dictionary that has {positions.Length}", at);
            var position = positions[index];
            return PlainValues.Read(values, ref position, at);
        }
    }
}

/// <summary>RLE_DICTIONARY and PLAIN_DICTIONARY: indices of dictionary entries, after a byte with their width.</summary>
internal sealed class DictionaryValues : ValueDecoder
{
    private readonly PageDictionary dictionary;
    private readonly RunLengths indices;
    private readonly long at;

    public DictionaryValues(ReadOnlyMemory<byte> values, PageDictionary? dictionary, long at)
    {
        this.dictionary = dictionary ?? throw new ParquetError("a page needs a dictionary, and no dictionary page comes before it", at);
        this.at = at;
        if (values.IsEmpty)
            throw new ParquetError("a page ends before its dictionary indices", at);
        var width = values.Span[0];
        if (width > 32)
            throw new ParquetError($"dictionary indices have {width} bits", at);
        indices = new RunLengths(values[1..], width, at);
    }

    public override ReadOnlyMemory<byte> Next() => dictionary[indices.Next(), at];
}
