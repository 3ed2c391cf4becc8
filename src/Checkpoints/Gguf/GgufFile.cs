using TorchSharp;
using static TorchSharp.torch;

namespace Trainer.Checkpoints.Gguf;

/// <summary>A tensor of a GGUF file that is made when it is written.</summary>
/// <param name="Source">Float32, under its GGUF name.</param>
/// <param name="Type">How it is stored.</param>
internal sealed record GgufTensor(PendingTensor Source, GgufType Type)
{
    /// <summary>How many numbers.</summary>
    public long Count => Source.Shape.Aggregate(1L, (product, extent) => product * extent);

    /// <summary>Bytes of data.</summary>
    public long Bytes => Type.Bytes(Count);
}

/// <summary>Writes GGUF version 3: magic, counts, metadata, the list of tensors, and their data, each aligned to 32 bytes.</summary>
/// <remarks>Specification: docs/gguf.md of ggml. Extents are listed from the innermost, and data lies as ours does.</remarks>
internal static class GgufFile
{
    /// <summary>Each tensor's data begins at a multiple of it.</summary>
    public const int Alignment = 32;

    private const uint Magic = 0x46554747, Version = 3;

    /// <summary>Writes a file.</summary>
    /// <param name="stream">Where to; at its beginning.</param>
    /// <param name="metadata">Keys and values.</param>
    /// <param name="tensors">One is in memory at a time.</param>
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
            GgufData.Write(stream, numbers, tensor.Type);
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

    private static ulong Aligned(ulong length) => (length + Alignment - 1) / Alignment * Alignment;

    private static void Pad(Stream stream)
    {
        while (stream.Position % Alignment != 0) stream.WriteByte(0);
    }
}
