namespace Trainer.Text.Parquet;

/// <summary>What pages hold (parquet.thrift, <c>PageType</c>).</summary>
internal enum PageType { Data, Index, Dictionary, DataV2 }

/// <summary>How values are encoded (parquet.thrift, <c>Encoding</c>).</summary>
internal enum PageEncoding
{
    Plain = 0, PlainDictionary = 2, Rle = 3, BitPacked = 4, DeltaBinaryPacked = 5, DeltaLengthByteArray = 6, DeltaByteArray = 7, RleDictionary = 8, ByteStreamSplit = 9,
}

/// <summary>The header of a page (parquet.thrift, <c>PageHeader</c>).</summary>
internal sealed record PageHeader
{
    public PageType Type { get; private set; } = (PageType)(-1);

    /// <summary>The bytes of the page as it is stored, behind its header.</summary>
    public int CompressedSize { get; private set; } = -1;

    /// <summary>The bytes of the page when decompressed; the levels of version 2, which are never compressed, included.</summary>
    public int UncompressedSize { get; private set; } = -1;

    /// <summary>CRC-32 (as in gzip) of the stored bytes, where the writer gave it.</summary>
    public int? Crc { get; private set; }

    /// <summary>The values, nulls included; in a dictionary its entries.</summary>
    public int Values { get; private set; } = -1;

    public PageEncoding Encoding { get; private set; } = (PageEncoding)(-1);

    /// <summary>How the definition levels are encoded, in version 1; in version 2 it is always RLE.</summary>
    public PageEncoding DefinitionEncoding { get; private set; } = PageEncoding.Rle;

    /// <summary>In version 2: the bytes of the definition levels.</summary>
    public int DefinitionBytes { get; private set; }

    /// <summary>In version 2: the bytes of the repetition levels, which come first.</summary>
    public int RepetitionBytes { get; private set; }

    /// <summary>In version 2: whether the values are compressed.</summary>
    public bool IsCompressed { get; private set; } = true;

    /// <summary>Reads a header.</summary>
    /// <exception cref="ThriftEnd">It goes on behind the bytes that there are.</exception>
    public static PageHeader Read(ref ThriftReader thrift)
    {
        var header = new PageHeader();
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
            switch (id, field)
            {
                case (1, ThriftType.Int32):
                    header.Type = (PageType)thrift.Int32();
                    break;
                case (2, ThriftType.Int32):
                    header.UncompressedSize = thrift.Int32();
                    break;
                case (3, ThriftType.Int32):
                    header.CompressedSize = thrift.Int32();
                    break;
                case (4, ThriftType.Int32):
                    header.Crc = thrift.Int32();
                    break;
                case (5 or 7, ThriftType.Struct):
                    header.ReadValues(ref thrift);
                    break;
                case (8, ThriftType.Struct):
                    header.ReadVersion2(ref thrift);
                    break;
                default:
                    thrift.Skip(field);
                    break;
            }
        if (header.CompressedSize < 0 || header.UncompressedSize < 0)
            throw thrift.Damage($"a page has {header.CompressedSize} bytes, {header.UncompressedSize} when decompressed");
        if (header.Type is PageType.Data or PageType.DataV2 or PageType.Dictionary && header.Values < 0)
            throw thrift.Damage($"a page has {header.Values} values");
        if (header.DefinitionBytes < 0 || header.RepetitionBytes < 0)
            throw thrift.Damage($"a page has levels of {header.RepetitionBytes} and {header.DefinitionBytes} bytes");
        return header;
    }

    /// <summary>DataPageHeader and DictionaryPageHeader begin alike.</summary>
    private void ReadValues(ref ThriftReader thrift)
    {
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
            switch (id, field)
            {
                case (1, ThriftType.Int32):
                    Values = thrift.Int32();
                    break;
                case (2, ThriftType.Int32):
                    Encoding = (PageEncoding)thrift.Int32();
                    break;
                case (3, ThriftType.Int32):
                    DefinitionEncoding = (PageEncoding)thrift.Int32();
                    break;
                default:
                    thrift.Skip(field);
                    break;
            }
    }

    private void ReadVersion2(ref ThriftReader thrift)
    {
        for (short id = 0; thrift.Field(ref id) is var field and not ThriftType.Stop;)
            switch (id, field)
            {
                case (1, ThriftType.Int32):
                    Values = thrift.Int32();
                    break;
                case (4, ThriftType.Int32):
                    Encoding = (PageEncoding)thrift.Int32();
                    break;
                case (5, ThriftType.Int32):
                    DefinitionBytes = thrift.Int32();
                    break;
                case (6, ThriftType.Int32):
                    RepetitionBytes = thrift.Int32();
                    break;
                case (7, ThriftType.True or ThriftType.False):
                    IsCompressed = field == ThriftType.True;
                    break;
                default:
                    thrift.Skip(field);
                    break;
            }
    }
}
