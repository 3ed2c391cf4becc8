using System.Buffers.Binary;
using System.Text.Json;
using TorchSharp;

namespace Trainer.Torch;

/// <summary>Writes safetensors files: an 8-byte little-endian header length, a JSON header, then contiguous little-endian data.</summary>
/// <remarks>Specification: Hugging Face's safetensors format, including the padding of the header to 8 bytes with spaces.</remarks>
public static class Safetensors
{
    internal const string MetadataKey = "__metadata__";

    private const int Alignment = 8;

    /// <summary>Writes tensors in the given order. The caller flushes and renames; a file that fails midway is not removed here.</summary>
    /// <param name="path">The file, overwritten.</param>
    /// <param name="tensors">Names and values, on any device, of any layout.</param>
    /// <param name="metadata">Text by key, stored under <c>__metadata__</c>; or none.</param>
    /// <exception cref="ArgumentException">A name occurs twice, or is the metadata's.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var stream = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
        Write(stream, tensors, metadata);
    }

    /// <inheritdoc cref="Write(string, IEnumerable{ValueTuple{string, torch.Tensor}}, IReadOnlyDictionary{string, string})"/>
    /// <param name="stream">Where the file goes.</param>
    /// <param name="tensors">Names and values.</param>
    /// <param name="metadata">Text by key, or none.</param>
    public static void Write(Stream stream, IEnumerable<(string Name, torch.Tensor Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        (string Name, torch.Tensor Value)[] entries = [.. tensors];
        RequireDistinct(entries);
        var header = Header(entries, metadata);
        Span<byte> length = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (var (_, value) in entries) WriteData(stream, value);
    }

    private static void RequireDistinct((string Name, torch.Tensor Value)[] entries)
    {
        var names = new HashSet<string>();
        foreach (var (name, _) in entries)
        {
            if (name == MetadataKey) throw new ArgumentException($"'{MetadataKey}' is reserved and cannot name a tensor.");
            if (!names.Add(name)) throw new ArgumentException($"The tensor '{name}' is given twice.");
        }
    }

    private static byte[] Header((string Name, torch.Tensor Value)[] entries, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 }) WriteMetadata(json, metadata);
            long offset = 0;
            foreach (var (name, value) in entries) offset = WriteEntry(json, name, value, offset);
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

    private static long WriteEntry(Utf8JsonWriter json, string name, torch.Tensor value, long offset)
    {
        var end = offset + value.numel() * value.element_size();
        json.WriteStartObject(name);
        json.WriteString("dtype", SafetensorsType.NameOf(value.dtype));
        json.WriteStartArray("shape");
        foreach (var size in value.shape) json.WriteNumberValue(size);
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
