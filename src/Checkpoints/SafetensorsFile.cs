using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using System.Text.Json;
using TorchSharp;
using Trainer.Kernels;

namespace Trainer.Checkpoints;

/// <summary>The header entry of one tensor; Offset counts bytes after the header.</summary>
public sealed record SafetensorsInfo(torch.ScalarType Type, IReadOnlyList<long> Shape, long Offset, long Length);

/// <summary>An open safetensors file, not thread-safe, its header checked: types, shapes that fit lengths, no gaps or overlaps.</summary>
/// <remarks>Each read maps only its part of the file: a mapping of all of it would count as memory of this process.</remarks>
public sealed class SafetensorsFile : IDisposable
{
    // The reference implementation's limit, which catches absurd lengths in damaged files.
    private const long MaximumHeader = 100_000_000;

    private readonly string path;
    private readonly Dictionary<string, SafetensorsInfo> entries;
    private readonly long dataStart;
    private readonly MemoryMappedFile? file;

    /// <summary>Checks the content of a file without opening it.</summary>
    internal SafetensorsFile(string path, Stream content)
    {
        this.path = path;
        var header = ReadHeader(content);
        dataStart = 8 + header.Length;
        (entries, Metadata) = Parse(header);
        RequireContiguous(content.Length - dataStart);
    }

    private SafetensorsFile(string path, FileStream content) : this(path, (Stream)content)
    {
        if (content.Length == dataStart) return;
        file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
    }

    /// <summary>The names, in the order of their data.</summary>
    public IReadOnlyList<string> Names => [.. entries.OrderBy(entry => entry.Value.Offset).Select(entry => entry.Key)];

    internal IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens and checks a file.</summary>
    /// <exception cref="InvalidDataException">The file is damaged; the message names it and the damage.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        using var content = File.OpenRead(path);
        return new SafetensorsFile(path, content);
    }

    internal bool Contains(string name) => entries.ContainsKey(name);

    /// <summary>Type, shape and place of a tensor.</summary>
    public SafetensorsInfo Info(string name) =>
        entries.TryGetValue(name, out var info) ? info : throw new KeyNotFoundException($"{path} holds no tensor '{name}'.");

    /// <summary>Reads a tensor, to the CPU by default.</summary>
    public torch.Tensor Read(string name, torch.Device? device = null)
    {
        var info = Info(name);
        var tensor = torch.empty([.. info.Shape], info.Type);
        if (info.Length > 0) Copy(info.Offset, info.Length, tensor);
        return device is null or { type: DeviceType.CPU } ? tensor : tensor.to(device, disposeAfter: true);
    }

    /// <summary>Reads consecutive elements from <paramref name="start"/>, in row-major order, and no others.</summary>
    internal torch.Tensor Read(string name, long start, IReadOnlyList<long> shape)
    {
        var info = Info(name);
        long size = SafetensorsType.SizeOf(info.Type), length = shape.Aggregate(size, (product, extent) => checked(product * extent));
        if (start < 0 || start > info.Length / size || length > info.Length - start * size)
            throw new ArgumentOutOfRangeException(
                nameof(start),
                start,
                $"{path}: '{name}' has {info.Length / size} numbers; [{string.Join(", ", shape)}] from number {start} on are more.");
        var tensor = torch.empty([.. shape], info.Type);
        if (length > 0) Copy(info.Offset + start * size, length, tensor);
        return tensor;
    }

    /// <summary>Closes the file; tensors read from it stay valid.</summary>
    public void Dispose() => file?.Dispose();

    private unsafe void Copy(long offset, long length, torch.Tensor tensor)
    {
        using var view = file!.CreateViewAccessor(dataStart + offset, length, MemoryMappedFileAccess.Read);
        byte* start = null;
        view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
        try
        {
            // Views start at whole pages, before the requested bytes.
            Buffer.MemoryCopy(start + view.PointerOffset, tensor.DataPointer, length, length);
        }
        finally
        {
            view.SafeMemoryMappedViewHandle.ReleasePointer();
        }
    }

    private byte[] ReadHeader(Stream stream)
    {
        Span<byte> prefix = stackalloc byte[8];
        if (stream.Length < 8) throw Malformed($"it has {stream.Length} bytes, too few for the length of a header");
        stream.ReadExactly(prefix);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaximumHeader || (long)length > stream.Length - 8)
            throw Malformed($"its header claims {length} bytes, but {stream.Length - 8} follow");
        var header = new byte[length];
        stream.ReadExactly(header);
        return header;
    }

    private (Dictionary<string, SafetensorsInfo>, IReadOnlyDictionary<string, string>) Parse(byte[] header)
    {
        var tensors = new Dictionary<string, SafetensorsInfo>();
        var metadata = new Dictionary<string, string>();
        try
        {
            using var document = JsonDocument.Parse(header);
            foreach (var property in document.RootElement.EnumerateObject())
                if (property.NameEquals(Safetensors.MetadataKey))
                    foreach (var text in property.Value.EnumerateObject())
                        metadata[text.Name] = text.Value.GetString() ?? throw Malformed($"the metadata '{text.Name}' is no text");
                else if (!tensors.TryAdd(property.Name, Entry(property)))
                    throw Malformed($"the tensor '{property.Name}' stands in it twice");
        }
        catch (Exception error) when (
            error is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or OverflowException)
        {
            throw Malformed($"its header cannot be read ({error.Message})");
        }

        return (tensors, metadata);
    }

    private SafetensorsInfo Entry(JsonProperty property)
    {
        var type = property.Value.GetProperty("dtype").GetString()!;
        if (!SafetensorsType.TryParse(type, out var scalarType, out var size))
            throw Malformed($"the tensor '{property.Name}' has the type {type}, which is not supported");
        long[] shape = [.. property.Value.GetProperty("shape").EnumerateArray().Select(item => item.GetInt64())];
        long[] offsets = [.. property.Value.GetProperty("data_offsets").EnumerateArray().Select(item => item.GetInt64())];
        if (offsets.Length != 2 || offsets[0] < 0 || offsets[1] < offsets[0] || shape.Any(extent => extent < 0))
            throw Malformed($"the tensor '{property.Name}' has no sound shape and place");
        // Zeros last, so that overflow in the other extents of an empty tensor is found too.
        var length = shape.OrderDescending().Aggregate((long)size, (product, extent) => checked(product * extent));
        if (length != offsets[1] - offsets[0])
            throw Malformed(
                $"the tensor '{property.Name}' of shape [{string.Join(", ", shape)}] and type {type} needs {length} bytes, "
                + $"but has {offsets[1] - offsets[0]}");
        return new SafetensorsInfo(scalarType, shape, offsets[0], length);
    }

    private void RequireContiguous(long available)
    {
        long end = 0;
        foreach (var (name, info) in entries.OrderBy(entry => entry.Value.Offset).ThenBy(entry => entry.Value.Length))
        {
            if (info.Offset != end)
                throw Malformed($"the data of '{name}' begins at byte {info.Offset}, but the tensor before it ends at {end}");
            end += info.Length;
        }

        if (end != available)
            throw Malformed(
                $"its tensors need {end} bytes of data, but {available} follow the header; "
                + $"it is {(available < end ? "truncated" : "too long")}");
    }

    private InvalidDataException Malformed(string what) => new($"{path} is not a whole safetensors file: {what}.");
}
