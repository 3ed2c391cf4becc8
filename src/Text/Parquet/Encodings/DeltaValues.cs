namespace Trainer.Text.Parquet;

/// <summary>DELTA_LENGTH_BYTE_ARRAY: all lengths, delta-encoded, then all bytes.</summary>
internal sealed class DeltaLengthValues : ValueDecoder
{
    private readonly DeltaNumbers lengths;
    private readonly ReadOnlyMemory<byte> bytes;
    private readonly long at;
    private int position;

    public DeltaLengthValues(ReadOnlyMemory<byte> values, int most, long at)
    {
        this.at = at;
        lengths = new DeltaNumbers(values, most, at);
        bytes = values[new DeltaNumbers(values, most, at).SkipAll()..];
    }

    public override ReadOnlyMemory<byte> Next()
    {
        var length = lengths.Next();
        if (length < 0 || length > bytes.Length - position)
            throw new ParquetError($"a value of {length} bytes does not fit the {bytes.Length - position} that are left of its page", at);
        var value = bytes.Slice(position, length);
        position += length;
        return value;
    }
}

/// <summary>DELTA_BYTE_ARRAY: of each value only what differs from the beginning of the one before; also called front coding.</summary>
internal sealed class DeltaValues : ValueDecoder
{
    private readonly DeltaNumbers prefixes;
    private readonly DeltaLengthValues suffixes;
    private readonly long at;
    private byte[] value = new byte[256];
    private int length;

    public DeltaValues(ReadOnlyMemory<byte> values, int most, long at)
    {
        this.at = at;
        prefixes = new DeltaNumbers(values, most, at);
        suffixes = new DeltaLengthValues(values[new DeltaNumbers(values, most, at).SkipAll()..], most, at);
    }

    public override ReadOnlyMemory<byte> Next()
    {
        var prefix = prefixes.Next();
        if (prefix < 0 || prefix > length)
            throw new ParquetError($"a value shares {prefix} bytes with the one before it, which has {length}", at);
        var suffix = suffixes.Next();
        length = prefix + suffix.Length;   // below the size of the page, since each byte of a prefix was once one of a suffix
        if (length > value.Length)
            Array.Resize(ref value, Math.Max(length, (int)Math.Min(2L * value.Length, Array.MaxLength)));
        suffix.Span.CopyTo(value.AsSpan(prefix));
        return value.AsMemory(0, length);
    }
}
