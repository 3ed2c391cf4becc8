using System.IO.Hashing;

namespace Trainer.Text.Parquet;

/// <summary>Reads the pages of one column chunk, one at a time, into memory that is used again for the next.</summary>
/// <param name="file">The file.</param>
/// <param name="column">The column.</param>
internal sealed class PageReader(ParquetFile file, SchemaLeaf column) : IDisposable
{
    /// <summary>Headers are some dozens of bytes; statistics of long texts make a few longer.</summary>
    private const int UsualHeader = 1 << 9;

    private const int LongestHeader = 64 << 20;

    private readonly PageDecompressor decompressor = new();
    private readonly PageBuffer stored = new();
    private readonly PageBuffer page = new();
    private readonly PageBuffer dictionaryPage = new();
    private byte[] window = new byte[UsualHeader];
    private ColumnChunk chunk = new(0, 0, 0, Codec.Uncompressed);
    private PageDictionary? dictionary;
    private long position;
    private long valuesLeft;

    /// <summary>Goes to the beginning of a chunk.</summary>
    public void Open(ColumnChunk next) => (chunk, position, valuesLeft, dictionary) = (next, next.Start, next.Values, null);

    /// <summary>Reads the next page with values.</summary>
    /// <returns>Its values, valid until the next call; null when the chunk has no more.</returns>
    /// <exception cref="ParquetError">The page is damaged.</exception>
    public Page? Next()
    {
        while (valuesLeft > 0)
        {
            var at = position;
            var header = ReadHeader();
            if (header.Type is not (PageType.Data or PageType.DataV2 or PageType.Dictionary))
            {
                position += header.CompressedSize;
                continue;
            }
            var content = ReadStored(header, at);
            if (header.Type == PageType.Dictionary)
            {
                ReadDictionary(header, content, at);
                continue;
            }
            if (header.Values > valuesLeft)
                throw new ParquetError($"a page has {header.Values} values, its column chunk only {valuesLeft} more", at);
            valuesLeft -= header.Values;
            return header.Type == PageType.Data ? Version1(header, content, at) : Version2(header, content, at);
        }
        return null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        stored.Dispose();
        page.Dispose();
        dictionaryPage.Dispose();
    }

    private long End => chunk.Start + chunk.Bytes;

    private PageHeader ReadHeader()
    {
        for (var size = UsualHeader; ; size *= 8)
        {
            var length = (int)Math.Min(size, End - position);
            if (window.Length < length)
                window = new byte[length];
            file.Read(position, window.AsSpan(0, length));
            try
            {
                var thrift = new ThriftReader(window.AsSpan(0, length), position);
                var header = PageHeader.Read(ref thrift);
                position += thrift.Position;
                return header;
            }
            catch (Exception e) when (e is ThriftEnd or ParquetError && length == size && size < LongestHeader)
            {
                // Cut off by the window, which also makes lengths look too long.
            }
            catch (ThriftEnd e)
            {
                throw new ParquetError($"a page header ends inside a value, with {valuesLeft} values missing", e.Offset);
            }
        }
    }

    private ArraySegment<byte> ReadStored(PageHeader header, long at)
    {
        if (header.CompressedSize > End - position)
            throw new ParquetError($"a page of {header.CompressedSize} bytes is longer than the {End - position} that are left of its column chunk", at);
        if (header.UncompressedSize > PageDecompressor.LargestPage)
            throw new ParquetError($"a page declares {header.UncompressedSize} bytes when decompressed; at most {PageDecompressor.LargestPage} are read", at);
        stored.Reserve(header.CompressedSize);
        var content = new ArraySegment<byte>(stored.Array, 0, header.CompressedSize);
        file.Read(position, content);
        position += header.CompressedSize;
        if (header.Crc is { } crc && unchecked((int)Crc32.HashToUInt32(content)) is var found && found != crc)
            throw new ParquetError($"a page has the checksum {found:x8} instead of {crc:x8}", at);
        return content;
    }

    private void ReadDictionary(PageHeader header, ArraySegment<byte> content, long at)
    {
        if (dictionary is not null)
            throw new ParquetError("a column chunk has a second dictionary page", at);
        if (header.Encoding is not (PageEncoding.Plain or PageEncoding.PlainDictionary))
            throw new ParquetError($"a dictionary is encoded as {header.Encoding}", at);
        Decompress(content, header.UncompressedSize, dictionaryPage, at);
        dictionary = new PageDictionary(dictionaryPage.Array.AsMemory(0, header.UncompressedSize), header.Values, at);
    }

    private Page Version1(PageHeader header, ArraySegment<byte> content, long at)
    {
        ReadOnlyMemory<byte> values = content;
        if (chunk.Codec != Codec.Uncompressed)
        {
            Decompress(content, header.UncompressedSize, page, at);
            values = page.Array.AsMemory(0, header.UncompressedSize);
        }
        var levels = DefinitionLevels.Version1(ref values, header, column.MaxDefinition, at);
        return Of(header, levels, values, at);
    }

    /// <summary>The levels come before the values and are never compressed.</summary>
    private Page Version2(PageHeader header, ArraySegment<byte> content, long at)
    {
        var levelBytes = (long)header.RepetitionBytes + header.DefinitionBytes;
        if (levelBytes > content.Count || levelBytes > header.UncompressedSize)
            throw new ParquetError($"the levels of a page take {levelBytes} of its {content.Count} bytes", at);
        ReadOnlyMemory<byte> definitions = content.Slice(header.RepetitionBytes, header.DefinitionBytes);
        var rest = content[(int)levelBytes..];
        ReadOnlyMemory<byte> values = rest;
        var size = header.UncompressedSize - (int)levelBytes;
        if (header.IsCompressed && chunk.Codec != Codec.Uncompressed && (rest.Count > 0 || size > 0))
        {
            Decompress(rest, size, page, at);
            values = page.Array.AsMemory(0, size);
        }
        var levels = DefinitionLevels.Version2(definitions, column.MaxDefinition, at);
        return Of(header, levels, values, at);
    }

    private Page Of(PageHeader header, DefinitionLevels levels, ReadOnlyMemory<byte> values, long at)
    {
        var entries = dictionary;
        return new Page(header.Values, levels, () => ValueDecoder.Open(header.Encoding, values, header.Values, entries, at));
    }

    private void Decompress(ArraySegment<byte> content, int size, PageBuffer output, long at)
    {
        try
        {
            decompressor.Decompress(chunk.Codec, content, size, output);
        }
        catch (Exception e) when (e is InvalidDataException or InvalidOperationException or IOException or ZstdSharp.ZstdException)
        {
            throw new ParquetError($"a page cannot be decompressed ({chunk.Codec}): {e.Message.TrimEnd('.')}", at, inner: e);
        }
    }
}

/// <summary>The values of a page.</summary>
/// <param name="values">How many, nulls included.</param>
/// <param name="levels">Which of them are there.</param>
/// <param name="open">Opens those that are. In a page where all is null they may have no bytes and no dictionary, so it waits for the first.</param>
internal sealed class Page(int values, DefinitionLevels levels, Func<ValueDecoder> open)
{
    private ValueDecoder? decoder;

    /// <summary>How many values are left, nulls included.</summary>
    public int Left { get; private set; } = values;

    /// <summary>The next value, valid until the one after it is asked for; null where there is none.</summary>
    public ReadOnlyMemory<byte>? Next()
    {
        Left--;
        if (!levels.Next())
            return null;
        decoder ??= open();
        return decoder.Next();
    }
}
