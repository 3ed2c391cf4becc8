using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

internal static class GgufExport
{
    // llama.cpp's version of its quantised blocks.
    private const uint QuantizationVersion = 2;

    /// <summary>Writes a file, complete or absent, one tensor at a time; returns llama.cpp's name of the architecture.</summary>
    public static string Write(ExportSource source, string path, GgufType type)
    {
        (GgufLayout layout, GgufMetadata metadata, WeightMap map) = Describe(source, type);
        GgufTensor[] tensors = [.. map.Export(source.Weights, ScalarType.Float32).Select(tensor => Stored(tensor, layout, type))];
        WriteFile(path, stream => GgufFile.Write(stream, metadata, tensors));
        return layout.Architecture;
    }

    /// <summary>How llama.cpp has the model: its settings as they are written, and its tensors beside those here.</summary>
    public static (GgufLayout Layout, GgufMetadata Metadata, WeightMap Map) Describe(ExportSource source, GgufType type)
    {
        Family family = FamilyRegistry.Of(source.Model);
        source = source with { Model = CanonicalModel.Resolved(source.Model) };
        GgufLayout layout = GgufLayout.Of(family.ModelType);
        if (layout.WhyUnsupported(source.Model) is { } reason) throw new UserException(reason);
        return (layout, Describe(source, layout, type), new WeightMap([.. layout.Weights(source.Model, source.VocabularySize)]));
    }

    private static GgufMetadata Describe(ExportSource source, GgufLayout layout, GgufType type)
    {
        GgufMetadata metadata = new GgufMetadata()
            .Add("general.architecture", layout.Architecture)
            .Add("general.type", "model")
            .Add("general.name", source.Name)
            .Add("general.alignment", GgufFile.Alignment)
            .Add("general.file_type", type.FileType())
            .Add("general.quantization_version", QuantizationVersion);
        layout.Describe(source.Model, source.VocabularySize, (key, value) => metadata.Add($"{layout.Architecture}.{key}", value));
        GgufTokenizer.Describe(source, metadata);
        return metadata;
    }

    private static GgufTensor Stored(PendingTensor tensor, GgufLayout layout, GgufType type)
    {
        if (tensor.Shape.Count < 2 || layout.StaysFloat32(tensor.Name)) return new(tensor, GgufType.F32);
        if (type == GgufType.Q8_0 && !BlockQuantization.Divides(tensor.Shape[^1]))
            throw new UserException(
                $"{tensor.Name} has rows of {tensor.Shape[^1]} numbers, which blocks of {BlockQuantization.BlockLength} do not divide; "
                + "use --type f16");
        return new(tensor, type);
    }

    private static void WriteFile(string path, Action<Stream> fill)
    {
        string temporary = $"{path}.tmp-{Environment.ProcessId}";
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(path)) is { } directory) Directory.CreateDirectory(directory);
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 1 << 16)) fill(stream);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: it cannot be written: {error.Message}", error);
        }
        finally
        {
            if (File.Exists(temporary)) File.Delete(temporary);
        }
    }
}

/// <summary>How a GGUF file stores matrices; vectors are always float32.</summary>
public enum GgufType
{
    /// <summary>float32.</summary>
    F32,

    /// <summary>float16.</summary>
    F16,

    /// <summary>bfloat16.</summary>
    BF16,

    /// <summary>Blocks of 32 numbers: a float16 scale and 8-bit integers.</summary>
    Q8_0,
}

internal static class GgufTypes
{
    public static uint Code(this GgufType type) => type switch
    {
        GgufType.F32 => 0,
        GgufType.F16 => 1,
        GgufType.BF16 => 30,
        GgufType.Q8_0 => 8,
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    /// <summary>llama.cpp's code of a file whose matrices mostly have the type.</summary>
    public static uint FileType(this GgufType type) => type switch
    {
        GgufType.F32 => 0,
        GgufType.F16 => 1,
        GgufType.BF16 => 32,
        GgufType.Q8_0 => 7,
        _ => throw new ArgumentOutOfRangeException(nameof(type)),
    };

    public static WeightRange Range(this GgufType type) => type switch
    {
        GgufType.Q8_0 => WeightRange.Blocks,
        GgufType.F16 => WeightRange.Of(ScalarType.Float16),
        GgufType.BF16 => WeightRange.Of(ScalarType.BFloat16),
        _ => WeightRange.Of(ScalarType.Float32),
    };

    public static long Bytes(this GgufType type, long count) => type switch
    {
        GgufType.F32 => 4 * count, GgufType.F16 or GgufType.BF16 => 2 * count, _ => BlockQuantization.Bytes(count),
    };
}
