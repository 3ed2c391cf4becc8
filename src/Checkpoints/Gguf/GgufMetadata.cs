using System.Buffers.Binary;
using System.Text;

namespace Trainer.Checkpoints.Gguf;

/// <summary>Keys and values at the head of a GGUF file, in order.</summary>
internal sealed class GgufMetadata
{
    private readonly List<(string Key, object Value)> entries = [];

    /// <summary>The entries: strings, uint, float, bool, and lists of strings, int and float.</summary>
    public IReadOnlyList<(string Key, object Value)> Entries => entries;

    /// <summary>Adds an entry; null adds nothing.</summary>
    public GgufMetadata Add(string key, object? value)
    {
        if (value is not null) entries.Add((key, value is int number ? checked((uint)number) : value));
        return this;
    }

    /// <summary>Writes all entries, little-endian.</summary>
    public void Write(Stream stream)
    {
        foreach ((string key, object value) in entries)
        {
            WriteText(stream, key);
            WriteNumber(stream, Code(value));
            WriteValue(stream, value);
        }
    }

    /// <summary>A string with its length before it.</summary>
    public static void WriteText(Stream stream, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        WriteNumber(stream, (ulong)bytes.Length);
        stream.Write(bytes);
    }

    /// <summary>A 32-bit number.</summary>
    public static void WriteNumber(Stream stream, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        stream.Write(bytes);
    }

    /// <summary>A 64-bit number.</summary>
    public static void WriteNumber(Stream stream, ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        stream.Write(bytes);
    }

    private static void WriteValue(Stream stream, object value)
    {
        switch (value)
        {
            case string text: WriteText(stream, text); break;
            case uint number: WriteNumber(stream, number); break;
            case int number: WriteNumber(stream, unchecked((uint)number)); break;
            case float number: WriteNumber(stream, BitConverter.SingleToUInt32Bits(number)); break;
            case bool flag: stream.WriteByte(flag ? (byte)1 : (byte)0); break;
            case IReadOnlyList<string> items: WriteItems(stream, items); break;
            case IReadOnlyList<int> items: WriteItems(stream, items); break;
            case IReadOnlyList<float> items: WriteItems(stream, items); break;
            default: throw new ArgumentException($"GGUF has no {value.GetType()}.", nameof(value));
        }
    }

    private static void WriteItems<T>(Stream stream, IReadOnlyList<T> items)
    {
        WriteNumber(stream, typeof(T) == typeof(string) ? 8u : typeof(T) == typeof(int) ? 5u : 6u);
        WriteNumber(stream, (ulong)items.Count);
        foreach (T item in items) WriteValue(stream, item!);
    }

    private static uint Code(object value) => value switch
    {
        uint => 4, int => 5, float => 6, bool => 7, string => 8, _ => 9,
    };
}
