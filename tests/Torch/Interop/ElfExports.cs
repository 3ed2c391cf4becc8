using System.Buffers.Binary;
using System.Text;

namespace Trainer.Torch.Tests.Interop;

/// <summary>The names that a 64-bit little-endian ELF library defines for others (its .dynsym).</summary>
internal static class ElfExports
{
    private const int DynamicSymbols = 11;
    private const int SymbolSize = 24;

    internal static HashSet<string> Of(string path)
    {
        ReadOnlySpan<byte> file = File.ReadAllBytes(path);
        var sections = (int)BinaryPrimitives.ReadInt64LittleEndian(file[0x28..]);
        int size = BinaryPrimitives.ReadInt16LittleEndian(file[0x3A..]), count = BinaryPrimitives.ReadInt16LittleEndian(file[0x3C..]);
        for (var i = 0; i < count; i++)
        {
            var section = file.Slice(sections + i * size, size);
            if (BinaryPrimitives.ReadInt32LittleEndian(section[4..]) != DynamicSymbols) continue;
            var names = Content(file, file.Slice(sections + BinaryPrimitives.ReadInt32LittleEndian(section[0x28..]) * size, size));
            return Defined(Content(file, section), names);
        }

        throw new InvalidDataException($"{path} has no dynamic symbols.");
    }

    private static ReadOnlySpan<byte> Content(ReadOnlySpan<byte> file, ReadOnlySpan<byte> section) =>
        file.Slice((int)BinaryPrimitives.ReadInt64LittleEndian(section[0x18..]), (int)BinaryPrimitives.ReadInt64LittleEndian(section[0x20..]));

    private static HashSet<string> Defined(ReadOnlySpan<byte> symbols, ReadOnlySpan<byte> names)
    {
        HashSet<string> defined = [];
        for (var at = 0; at < symbols.Length; at += SymbolSize)
        {
            if (BinaryPrimitives.ReadInt16LittleEndian(symbols[(at + 6)..]) == 0) continue;
            var name = names[BinaryPrimitives.ReadInt32LittleEndian(symbols[at..])..];
            defined.Add(Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)]));
        }

        return defined;
    }
}
