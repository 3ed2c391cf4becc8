using System.Buffers.Binary;
using System.Text.Json;
using TorchSharp;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints;

/// <summary>Writes safetensors files (https://huggingface.co/docs/safetensors): length and JSON of the header, padded, then data.</summary>
public static class Safetensors
{
    internal const string MetadataKey = "__metadata__";

    private const int Alignment = 8;

    /// <summary>Writes tensors in the given order. The caller flushes and renames; a file that fails midway is not removed.</summary>
    /// <exception cref="ArgumentException">A name occurs twice or is reserved.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
        Write(stream, tensors, metadata);
    }

    internal static void Write(Stream stream, IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        (string Name, torch.Tensor Value)[] entries = [.. tensors];
        var pending = entries.Select(entry => new PendingTensor(entry.Name, entry.Value.dtype, entry.Value.shape, () => entry.Value));
        WriteHeader(stream, [.. pending], metadata);
        foreach (var (_, value) in entries) WriteData(stream, value);
    }

    /// <summary>Writes tensors in the given order, each made and disposed of before the next.</summary>
    internal static void Write(string path, IReadOnlyList<PendingTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
        WriteHeader(stream, tensors, metadata);
        foreach (var pending in tensors)
        {
            using var scope = torch.NewDisposeScope();
            using var value = pending.Read();
            if (value.dtype != pending.Type || !value.shape.SequenceEqual(pending.Shape))
                throw new InvalidOperationException(
                    $"The tensor '{pending.Name}' was announced as {pending.Type} [{string.Join(", ", pending.Shape)}], "
                    + $"but is {value.dtype} [{string.Join(", ", value.shape)}].");
            WriteData(stream, value);
        }
    }

    private static void WriteHeader(Stream stream, IReadOnlyList<PendingTensor> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        RequireDistinct(tensors);
        var header = Header(tensors, metadata);
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
    }

    private static void RequireDistinct(IReadOnlyList<PendingTensor> tensors)
    {
        var names = new HashSet<string>();
        foreach (var name in tensors.Select(tensor => tensor.Name))
        {
            if (name == MetadataKey) throw new ArgumentException($"'{MetadataKey}' is reserved and cannot name a tensor.");
            if (!names.Add(name)) throw new ArgumentException($"The tensor '{name}' is given twice.");
        }
    }

    private static byte[] Header(IReadOnlyList<PendingTensor> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 }) WriteMetadata(json, metadata);
            long offset = 0;
            foreach (var tensor in tensors) offset = WriteEntry(json, tensor, offset);
            json.WriteEndObject();
        }

        while (buffer.Length % Alignment != 0) buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string> metadata)
    {
        json.WriteStartObject(MetadataKey);
        foreach (var (key, text) in metadata) json.WriteString(key, text);
        json.WriteEndObject();
    }

    private static long WriteEntry(Utf8JsonWriter json, PendingTensor tensor, long offset)
    {
        var end = offset + tensor.Bytes;
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype", SafetensorsType.NameOf(tensor.Type));
        json.WriteStartArray("shape");
        foreach (var size in tensor.Shape) json.WriteNumberValue(size);
        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(offset);
        json.WriteNumberValue(end);
        json.WriteEndArray();
        json.WriteEndObject();
        return end;
    }

    private static unsafe void WriteData(Stream stream, torch.Tensor value)
    {
        using var scope = torch.NewDisposeScope();
        var packed = value.detach().cpu().contiguous();
        var bytes = packed.numel() * packed.element_size();
        if (bytes == 0) return;
        var memory = new UnmanagedMemoryStream(packed.DataPointer, bytes);
        memory.CopyTo(stream, 1 << 20);
    }
}

/// <summary>A tensor that is made, once, when it is written and then disposed of, so that a file may be larger than memory.</summary>
internal sealed record PendingTensor(string Name, torch.ScalarType Type, IReadOnlyList<long> Shape, Func<torch.Tensor> Read)
{
    public long Bytes => Shape.Aggregate((long)SafetensorsType.SizeOf(Type), (product, extent) => product * extent);
}

internal static class SafetensorsType
{
    private static readonly (ScalarType Type, string Name, int Size)[] Table =
    [
        (ScalarType.Float32, "F32", 4), (ScalarType.BFloat16, "BF16", 2), (ScalarType.Float16, "F16", 2),
        (ScalarType.Float64, "F64", 8), (ScalarType.Int64, "I64", 8), (ScalarType.Int32, "I32", 4),
        (ScalarType.Int16, "I16", 2), (ScalarType.Int8, "I8", 1), (ScalarType.Byte, "U8", 1), (ScalarType.Bool, "BOOL", 1),
    ];

    internal static string NameOf(ScalarType type) => Table.First(row => row.Type == type).Name;

    internal static int SizeOf(ScalarType type) => Table.First(row => row.Type == type).Size;

    internal static bool TryParse(string name, out ScalarType type, out int size)
    {
        var row = Table.FirstOrDefault(row => row.Name == name);
        (type, size) = (row.Type, row.Size);
        return row.Name is not null;
    }
}
