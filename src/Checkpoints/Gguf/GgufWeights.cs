using System.Text;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

/// <summary>Reads GGUF 3: all metadata, how tensors are stored, and those in float32, one at a time. Not thread-safe.</summary>
internal sealed class GgufWeights : IWeightSource, IDisposable
{
    private const int NumbersAtATime = 1 << 28;

    private readonly BinaryReader reader;
    private readonly Dictionary<string, object> metadata = [];
    private readonly Dictionary<string, (SafetensorsInfo Info, uint Type)> tensors = [];
    private long dataStart;

    private GgufWeights(string path)
    {
        Location = path;
        reader = new(File.OpenRead(path), Encoding.UTF8);
    }

    /// <inheritdoc/>
    public string Location { get; }

    /// <inheritdoc/>
    public IReadOnlyCollection<string> Names => tensors.Keys;

    /// <summary>Values by key: numbers, <see cref="bool"/>, <see cref="string"/>, or arrays of these.</summary>
    public IReadOnlyDictionary<string, object> Metadata => metadata;

    /// <summary>Opens a file and reads all but the numbers.</summary>
    /// <exception cref="UserException">It is missing or no whole GGUF file.</exception>
    public static GgufWeights Open(string path)
    {
        GgufWeights? opened = null;
        try
        {
            opened = new(path);
            opened.ReadHeader();
            return opened;
        }
        catch (Exception error) when (
            error is IOException or UnauthorizedAccessException or InvalidDataException or OverflowException or ArgumentException)
        {
            opened?.Dispose();
            throw new UserException($"{path}: it cannot be read as a GGUF file: {error.Message}", error);
        }
    }

    /// <summary>llama.cpp's code of how a tensor is stored; see <see cref="GgufTensorTypes"/>.</summary>
    public uint TypeOf(string name) => tensors[name].Type;

    /// <inheritdoc/>
    public SafetensorsInfo Info(string name) => tensors[name].Info;

    /// <summary>Reads a tensor, which is stored in float32.</summary>
    public Tensor Read(string name)
    {
        (SafetensorsInfo info, uint type) = tensors[name];
        if (type != 0) throw new InvalidOperationException($"{name} is stored as {GgufTensorTypes.Name(type)}, and only float32 is read.");
        reader.BaseStream.Position = dataStart + info.Offset;
        Tensor result = empty([.. info.Shape], ScalarType.Float32);
        using Tensor flat = result.view(-1);
        for (long start = 0; start < flat.size(0); start += NumbersAtATime)
        {
            using Tensor part = flat.narrow(0, start, Math.Min(NumbersAtATime, flat.size(0) - start));
            reader.BaseStream.ReadExactly(part.bytes);
        }
        return result;
    }

    public void Dispose() => reader.Dispose();

    private void ReadHeader()
    {
        if (reader.ReadUInt32() != GgufFile.Magic) throw new InvalidDataException("it does not begin with GGUF");
        if (reader.ReadUInt32() is var version and not GgufFile.Version)
            throw new InvalidDataException($"its version is {version}, and version {GgufFile.Version} is read");
        ulong count = reader.ReadUInt64(), entries = reader.ReadUInt64();
        for (ulong i = 0; i < entries; i++) metadata[Text()] = Value(reader.ReadUInt32());
        for (ulong i = 0; i < count; i++) ReadInfo();
        long alignment = metadata.GetValueOrDefault("general.alignment") is uint own and > 0 ? own : GgufFile.Alignment;
        dataStart = (reader.BaseStream.Position + alignment - 1) / alignment * alignment;
        foreach ((string name, (SafetensorsInfo info, uint type)) in tensors)
            if (type == 0 && (info.Offset < 0 || info.Offset > reader.BaseStream.Length - dataStart - info.Length))
                throw new InvalidDataException($"{name} lies beyond its end");
    }

    private void ReadInfo()
    {
        string name = Text();
        uint extents = reader.ReadUInt32();
        long[] shape = new long[extents <= 4 ? extents : throw Absurd($"{extents} extents of {name}")];
        for (int i = shape.Length - 1; i >= 0; i--) shape[i] = reader.ReadInt64(); // from the innermost
        if (shape.Any(extent => extent < 0)) throw Absurd($"the shape of {name}");
        uint type = reader.ReadUInt32();
        long bytes = shape.Aggregate(4L, (product, extent) => checked(product * extent));
        if (!tensors.TryAdd(name, (new(ScalarType.Float32, shape, checked((long)reader.ReadUInt64()), bytes), type)))
            throw new InvalidDataException($"it holds {name} twice");
    }

    private string Text() => Encoding.UTF8.GetString(Bytes(reader.ReadUInt64()));

    private byte[] Bytes(ulong length)
    {
        if (length > (ulong)(reader.BaseStream.Length - reader.BaseStream.Position)) throw Absurd($"a text of {length} bytes");
        byte[] bytes = new byte[length];
        reader.BaseStream.ReadExactly(bytes);
        return bytes;
    }

    private object Value(uint type) => type switch
    {
        0 => reader.ReadByte(),
        1 => reader.ReadSByte(),
        2 => reader.ReadUInt16(),
        3 => reader.ReadInt16(),
        4 => reader.ReadUInt32(),
        5 => reader.ReadInt32(),
        6 => reader.ReadSingle(),
        7 => reader.ReadByte() != 0,
        8 => Text(),
        9 => Items(reader.ReadUInt32(), reader.ReadUInt64()),
        10 => reader.ReadUInt64(),
        11 => reader.ReadInt64(),
        12 => reader.ReadDouble(),
        _ => throw Absurd($"a value of type {type}"),
    };

    private object[] Items(uint type, ulong count)
    {
        if (type == 9 || count > (ulong)(reader.BaseStream.Length - reader.BaseStream.Position)) throw Absurd($"a list of {count} values");
        object[] items = new object[count];
        for (int i = 0; i < items.Length; i++) items[i] = Value(type);
        return items;
    }

    private static InvalidDataException Absurd(string what) => new($"it claims {what}");
}

/// <summary>ggml's types of tensors.</summary>
internal static class GgufTensorTypes
{
    private static readonly Dictionary<uint, string> Names = new()
    {
        [0] = "F32", [1] = "F16", [2] = "Q4_0", [3] = "Q4_1", [6] = "Q5_0", [7] = "Q5_1", [8] = "Q8_0", [10] = "Q2_K", [11] = "Q3_K",
        [12] = "Q4_K", [13] = "Q5_K", [14] = "Q6_K", [30] = "BF16",
    };

    public static string Name(uint type) => Names.GetValueOrDefault(type) ?? $"type {type}";

    /// <summary>The bits of a number within its block, for Q-types; the digit in the name.</summary>
    public static int? Bits(uint type) => Name(type) is ['Q', var digit, ..] ? digit - '0' : null;
}
