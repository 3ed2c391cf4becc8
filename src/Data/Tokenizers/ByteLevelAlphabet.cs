namespace Trainer.Data;

/// <summary>GPT-2's table between bytes and printable characters, in which byte-level vocabularies are written.</summary>
/// <remarks>Printable bytes stand for themselves; the others take the code points from U+0100 on, in order
/// (Radford 2019, <c>bytes_to_unicode</c>).</remarks>
internal static class ByteLevelAlphabet
{
    private static readonly char[] Symbols = Build();
    private static readonly short[] Values = Invert();

    /// <summary>The character that stands for a byte.</summary>
    public static char Symbol(byte value) => Symbols[value];

    /// <summary>The byte that a character stands for, if it is one of the symbols.</summary>
    public static bool TryGetByte(char symbol, out byte value)
    {
        var found = symbol < Values.Length ? Values[symbol] : -1;
        value = (byte)found;
        return found >= 0;
    }

    private static short[] Invert()
    {
        var values = new short[Symbols.Max() + 1];
        Array.Fill(values, (short)-1);
        for (short value = 0; value < Symbols.Length; value++)
            values[Symbols[value]] = value;
        return values;
    }

    private static char[] Build()
    {
        var symbols = new char[256];
        var next = 0x100;
        for (var value = 0; value < symbols.Length; value++)
            symbols[value] = IsPrintable(value) ? (char)value : (char)next++;
        return symbols;
    }

    private static bool IsPrintable(int value) => value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
}
