using System.Buffers.Binary;
using System.Numerics;

namespace Trainer.Text.Parquet;

/// <summary>Which values of a page are there, and which are null at some level of nesting.</summary>
internal abstract class DefinitionLevels
{
    /// <summary>Whether the next value is there.</summary>
    public abstract bool Next();

    /// <summary>For columns in which every value must be there: no levels are stored.</summary>
    public static DefinitionLevels All { get; } = new Constant();

    /// <summary>Reads levels that stand before the values of a page of version 1.</summary>
    /// <param name="page">The page; what remains are its values.</param>
    /// <param name="header">Its header.</param>
    /// <param name="maximum">The level of a value that is there.</param>
    /// <param name="at">Where the page begins in the file.</param>
    public static DefinitionLevels Version1(ref ReadOnlyMemory<byte> page, PageHeader header, int maximum, long at)
    {
        if (maximum == 0)
            return All;
        var width = Width(maximum);
        var packed = header.DefinitionEncoding == PageEncoding.BitPacked;
        if (!packed && header.DefinitionEncoding != PageEncoding.Rle)
            throw new ParquetError($"definition levels are encoded as {header.DefinitionEncoding}", at);
        if (!packed && page.Length < 4)
            throw new ParquetError("a page ends before its definition levels", at);
        var length = packed ? (8L - 1 + (long)header.Values * width) / 8 : BinaryPrimitives.ReadUInt32LittleEndian(page.Span);
        var levels = packed ? page : page[4..];
        if (length > levels.Length)
            throw new ParquetError($"the definition levels take {length} bytes of the {levels.Length} that are left of their page", at);
        page = levels[(int)length..];
        levels = levels[..(int)length];
        return packed ? new Packed(levels, width, maximum, at) : new Hybrid(levels, width, maximum, at);
    }

    /// <summary>Reads the levels of a page of version 2.</summary>
    public static DefinitionLevels Version2(ReadOnlyMemory<byte> levels, int maximum, long at) =>
        maximum == 0 ? All : new Hybrid(levels, Width(maximum), maximum, at);

    private static int Width(int maximum) => BitOperations.Log2((uint)maximum) + 1;

    private static bool IsThere(uint level, int maximum, long at) =>
        level <= maximum ? level == maximum : throw new ParquetError($"a definition level is {level}, above the column's {maximum}", at);

    private sealed class Constant : DefinitionLevels
    {
        public override bool Next() => true;
    }

    private sealed class Hybrid(ReadOnlyMemory<byte> levels, int width, int maximum, long at) : DefinitionLevels
    {
        private readonly RunLengths runs = new(levels, width, at);

        public override bool Next() => IsThere(runs.Next(), maximum, at);
    }

    /// <summary>The deprecated encoding BIT_PACKED = 4, which fills bytes from their highest bit on.</summary>
    private sealed class Packed(ReadOnlyMemory<byte> levels, int width, int maximum, long at) : DefinitionLevels
    {
        private long bit;

        public override bool Next()
        {
            var level = 0u;
            for (var i = 0; i < width; i++, bit++)
                level = level << 1 | (bit >> 3 < levels.Length
                    ? (uint)levels.Span[(int)(bit >> 3)] >> (7 - (int)(bit & 7)) & 1
                    : throw new ParquetError("the definition levels end before the values do", at));
            return IsThere(level, maximum, at);
        }
    }
}
