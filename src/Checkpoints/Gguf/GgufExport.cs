using Trainer.Checkpoints.HuggingFace.Families;
using Trainer.Checkpoints.Weights;
using Trainer.Configuration;
using Trainer.Kernels;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

/// <summary>Writes a model for llama.cpp and what is built on it.</summary>
public static class GgufExport
{
    // llama.cpp's version of how blocks are quantised.
    private const uint QuantizationVersion = 2;

    /// <summary>Writes one GGUF file, one tensor at a time.</summary>
    /// <param name="source">The model.</param>
    /// <param name="path">The file; it is whole or not there afterwards.</param>
    /// <param name="type">How matrices are stored.</param>
    /// <returns>llama.cpp's name of the architecture.</returns>
    /// <exception cref="UserException">llama.cpp has no such model or tokenizer; the message says what stands in the way. Or a weight is not finite, or too large for the type.</exception>
    public static string Write(ExportSource source, string path, GgufType type)
    {
        Family family = FamilyRegistry.Of(source.Model);
        source = source with { Model = CanonicalModel.Resolved(source.Model) };
        GgufLayout layout = GgufLayouts.Of(family.ModelType);
        if (layout.Obstacle(source.Model) is { } obstacle) throw new UserException(obstacle);
        GgufMetadata metadata = Describe(source, layout, type);
        GgufTensor[] tensors = [.. new WeightMap([.. layout.Weights(source.Model, source.VocabularySize)])
            .Export(source.Weights, ScalarType.Float32).Select(tensor => Stored(tensor, layout, type))];
        NewFile.Write(path, stream => GgufFile.Write(stream, metadata, tensors));
        return layout.Architecture;
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
            throw new UserException($"{tensor.Name} has rows of {tensor.Shape[^1]} numbers, which blocks of {BlockQuantization.BlockLength} do not divide; use --type f16");
        return new(tensor, type);
    }
}
