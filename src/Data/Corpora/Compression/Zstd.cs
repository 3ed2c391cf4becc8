using ZstdSharp;

namespace Trainer.Data;

/// <summary>Zstandard (RFC 8878).</summary>
internal static class Zstd
{
    /// <summary>Decompresses a stream of one or more frames in the memory of their window, at most 128 MiB; it is disposed of with the result.</summary>
    /// <remarks>Damage is a <see cref="ZstdException"/>, an end inside a frame an <see cref="EndOfStreamException"/>.</remarks>
    public static Stream Open(Stream source) => new DecompressionStream(source, checkEndOfStream: true, leaveOpen: false);
}
