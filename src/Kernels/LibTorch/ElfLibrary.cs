using System.Text;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Trainer.Kernels;

/// <summary>A shared library of 64-bit Linux as bytes, and what it needs from others.</summary>
/// <remarks>Executable and Linking Format: System V ABI, chapters 4 and 5; symbol versions: Linux Standard Base, 10.7.</remarks>
internal sealed class ElfLibrary(byte[] bytes)
{
    private const uint DynamicSymbols = 11; // SHT_DYNSYM
    private const uint NeededVersions = 0x6FFFFFFE; // SHT_GNU_verneed
    private const uint Relocations = 4, JumpSlot = 7; // SHT_RELA, R_X86_64_JUMP_SLOT
    private const uint ReadOnlyAfterLoading = 0x6474E552; // PT_GNU_RELRO
    private const ushort WeakVersion = 2; // VER_FLG_WEAK: a library without this version will do

    internal ReadOnlySpan<byte> Bytes => bytes;

    /// <summary>Whether a file is complete up to its last part, the section table.</summary>
    internal static bool IsWhole(string path)
    {
        using var file = File.OpenHandle(path);
        Span<byte> header = stackalloc byte[64];
        if (RandomAccess.Read(file, header, 0) < header.Length) return false;
        var sections = ReadUInt16LittleEndian(header[0x3A..]) * ReadUInt16LittleEndian(header[0x3C..]);
        return RandomAccess.GetLength(file) >= (long)ReadUInt64LittleEndian(header[0x28..]) + sections;
    }

    /// <summary>Symbols that must come from other libraries, without weak ones, which may be missing.</summary>
    internal IEnumerable<string> RequiredSymbols()
    {
        var symbols = Section(DynamicSymbols);
        var names = Section(symbols.Link);
        for (var at = symbols.Offset + 24; at < symbols.Offset + symbols.Size; at += 24)
        {
            var (binding, definedIn) = (bytes[at + 4] >> 4, UInt16(at + 6));
            if (binding == 1 && definedIn == 0) yield return Text(names.Offset + (int)UInt32(at));
        }
    }

    /// <summary>The offset in memory of a symbol that this library defines.</summary>
    internal long? ValueOf(string symbol)
    {
        var symbols = Section(DynamicSymbols);
        var names = Section(symbols.Link);
        for (var at = symbols.Offset + 24; at < symbols.Offset + symbols.Size; at += 24)
            if (UInt16(at + 6) != 0 && Text(names.Offset + (int)UInt32(at)) == symbol) return (long)UInt64(at + 8);
        return null;
    }

    /// <summary>The offset of a writable pointer through which the library calls another's function, or null.</summary>
    internal long? SlotOf(string function)
    {
        var symbols = Section(DynamicSymbols);
        var names = Section(symbols.Link);
        for (var index = 0; index < UInt16(0x3C); index++)
        {
            if (UInt32(Header(index) + 4) != Relocations) continue;
            var (offset, size, _) = Section(index);
            for (var at = offset; at < offset + size; at += 24)
            {
                var (slot, information) = (UInt64(at), UInt64(at + 8));
                if ((uint)information != JumpSlot
                    || Text(names.Offset + (int)UInt32(symbols.Offset + 24 * (int)(information >> 32))) != function) continue;
                return IsReadOnly(slot) ? null : (long)slot;
            }
        }
        return null;
    }

    /// <summary>Accepts libraries that lack a needed version, as long as nothing of that version is called; false if it is not
    /// needed.</summary>
    internal bool Weaken(string version)
    {
        var needed = Section(NeededVersions);
        var names = Section(needed.Link);
        for (int file = needed.Offset, step = -1; step != 0; file += step)
        {
            step = (int)UInt32(file + 12);
            var entry = file + (int)UInt32(file + 8);
            for (var left = UInt16(file + 2); left > 0; left--, entry += (int)UInt32(entry + 12))
            {
                if (Text(names.Offset + (int)UInt32(entry + 8)) != version) continue;
                WriteUInt16LittleEndian(bytes.AsSpan(entry + 4), (ushort)(UInt16(entry + 4) | WeakVersion));
                return true;
            }
        }
        return false;
    }

    /// <summary>The name of a C++ function without its parameters, <c>at::_ops::tril::call</c>.</summary>
    internal static string Readable(string symbol)
    {
        var parts = new List<string>();
        var rest = symbol.StartsWith("_ZN", StringComparison.Ordinal) ? symbol.AsSpan(3).TrimStart('K') : default;
        while (rest.IndexOfAnyExceptInRange('0', '9') is var digits and > 0)
        {
            if (!int.TryParse(rest[..digits], out var length) || digits + length > rest.Length) break;
            parts.Add(rest.Slice(digits, length).ToString());
            rest = rest[(digits + length)..];
        }
        return parts.Count > 0 ? string.Join("::", parts) : symbol;
    }

    // Made read-only after loading (PT_GNU_RELRO).
    private bool IsReadOnly(ulong address)
    {
        for (int index = 0, at = (int)UInt64(0x20); index < UInt16(0x38); index++, at += UInt16(0x36))
            if (UInt32(at) == ReadOnlyAfterLoading && address >= UInt64(at + 0x10) && address < UInt64(at + 0x10) + UInt64(at + 0x28))
                return true;
        return false;
    }

    private (int Offset, int Size, int Link) Section(uint type)
    {
        for (var index = 0; index < UInt16(0x3C); index++)
            if (UInt32(Header(index) + 4) == type) return Section(index);
        throw new BadImageFormatException($"no section of type {type:x}");
    }

    private (int Offset, int Size, int Link) Section(int index)
    {
        var header = Header(index);
        return ((int)UInt64(header + 0x18), (int)UInt64(header + 0x20), (int)UInt32(header + 0x28));
    }

    private int Header(int index) => (int)UInt64(0x28) + index * UInt16(0x3A);

    private string Text(int offset) => Encoding.ASCII.GetString(bytes, offset, Array.IndexOf(bytes, (byte)0, offset) - offset);

    private ushort UInt16(int offset) => ReadUInt16LittleEndian(bytes.AsSpan(offset));

    private uint UInt32(int offset) => ReadUInt32LittleEndian(bytes.AsSpan(offset));

    private ulong UInt64(int offset) => ReadUInt64LittleEndian(bytes.AsSpan(offset));
}
