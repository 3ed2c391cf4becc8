using System.Buffers.Binary;
using System.Text;
using TorchSharp;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

internal sealed record GgufTensor(PendingTensor Source, GgufType Type)
{
    public long Count => Source.Shape.Aggregate(1L, (product, extent) => product * extent);

    public long Bytes => Type.Bytes(Count);
}

/// <summary>Writes GGUF 3, one tensor in memory at a time: magic, counts, metadata, tensor list, and data aligned to 32 bytes.</summary>
/// <remarks>Specification: docs/gguf.md of ggml. Extents are listed from the innermost, and data is laid out as here.</remarks>
internal static class GgufFile
{
    public const int Alignment = 32;

    // Few enough that a converted copy of them takes little memory beside the tensor.
    private const int NumbersAtATime = 1 << 20;

    public const uint Magic = 0x46554747, Version = 3;

    public static void Write(Stream stream, GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors)
    {
        GgufMetadata.WriteNumber(stream, Magic);
        GgufMetadata.WriteNumber(stream, Version);
        GgufMetadata.WriteNumber(stream, (ulong)tensors.Count);
        GgufMetadata.WriteNumber(stream, (ulong)metadata.Entries.Count);
        metadata.Write(stream);
        ulong offset = 0;
        foreach (GgufTensor tensor in tensors)
        {
            WriteInfo(stream, tensor, offset);
            offset += Aligned((ulong)tensor.Bytes);
        }
        Pad(stream);
        foreach (GgufTensor tensor in tensors)
        {
            using DisposeScope scope = NewDisposeScope();
            Tensor numbers = tensor.Source.Read();
            tensor.Type.Range().Require(tensor.Source.Name, numbers);
            WriteData(stream, numbers, tensor.Type);
            Pad(stream);
        }
    }

    private static void WriteInfo(Stream stream, GgufTensor tensor, ulong offset)
    {
        GgufMetadata.WriteText(stream, tensor.Source.Name);
        GgufMetadata.WriteNumber(stream, (uint)tensor.Source.Shape.Count);
        foreach (long extent in tensor.Source.Shape.Reverse()) GgufMetadata.WriteNumber(stream, (ulong)extent);
        GgufMetadata.WriteNumber(stream, tensor.Type.Code());
        GgufMetadata.WriteNumber(stream, offset);
    }

    private static void WriteData(Stream stream, Tensor tensor, GgufType type)
    {
        Tensor numbers = tensor.reshape(-1);
        for (long start = 0; start < numbers.size(0); start += NumbersAtATime)
        {
            using Tensor part = numbers.narrow(0, start, Math.Min(NumbersAtATime, numbers.size(0) - start)).contiguous();
            WritePart(stream, part, type);
        }
    }

    private static void WritePart(Stream stream, Tensor part, GgufType type)
    {
        using Tensor converted = type switch
        {
            GgufType.Q8_0 => BlockQuantization.Pack(part),
            GgufType.F16 => part.to_type(ScalarType.Float16, copy: true),
            GgufType.BF16 => part.to_type(ScalarType.BFloat16, copy: true),
            _ => part.to_type(ScalarType.Float32, copy: true),
        };
        stream.Write(converted.bytes);
    }

    private static ulong Aligned(ulong length) => (length + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream stream)
    {
        while (stream.Position % Alignment != 0) stream.WriteByte(0);
    }
}

internal sealed class GgufMetadata
{
    private readonly List<(string Key, object Value)> entries = [];

    /// <summary>Values are string, uint, float or bool, or lists of string, int or float.</summary>
    public IReadOnlyList<(string Key, object Value)> Entries => entries;

    public GgufMetadata Add(string key, object? value)
    {
        if (value is not null) entries.Add((key, value is int number ? checked((uint)number) : value));
        return this;
    }

    public void Write(Stream stream)
    {
        foreach ((string key, object value) in entries)
        {
            WriteText(stream, key);
            WriteNumber(stream, Code(value));
            WriteValue(stream, value);
        }
    }

    public static void WriteText(Stream stream, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        WriteNumber(stream, (ulong)bytes.Length);
        stream.Write(bytes);
    }

    public static void WriteNumber(Stream stream, uint value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        stream.Write(bytes);
    }

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
