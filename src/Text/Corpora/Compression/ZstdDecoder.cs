using System.Runtime.InteropServices;

namespace Trainer.Text;

/// <summary>Decompresses Zstandard frames step by step, in the memory of their window (at most 128 MiB).</summary>
internal sealed unsafe class ZstdDecoder : SafeHandle
{
    private const int ResetSession = 1;

    /// <summary>Makes a decoder that expects the beginning of a frame.</summary>
    /// <exception cref="Trainer.Configuration.UserException">libzstd is not installed.</exception>
    public ZstdDecoder() : base(0, ownsHandle: true)
    {
        Zstd.Require();
        SetHandle(Zstd.ZSTD_createDCtx());
        if (IsInvalid)
            throw new OutOfMemoryException("libzstd could not allocate a decompression context");
    }

    /// <inheritdoc/>
    public override bool IsInvalid => handle == 0;

    /// <summary>Whether what was decoded last lies inside a frame, so that more must follow.</summary>
    public bool InsideFrame { get; private set; }

    /// <summary>Forgets what was begun.</summary>
    public void Reset()
    {
        Zstd.ZSTD_DCtx_reset(handle, ResetSession);
        InsideFrame = false;
    }

    /// <summary>Decodes as much as input and output allow; frames that follow each other are one stream.</summary>
    /// <returns>The bytes taken from the input and those written.</returns>
    /// <exception cref="InvalidDataException">The input is not Zstandard or is damaged.</exception>
    public (int Read, int Written) Decode(ReadOnlySpan<byte> input, Span<byte> output)
    {
        fixed (byte* source = input)
        fixed (byte* target = output)
        {
            var from = new ZstdBuffer { Start = (nint)source, Size = (nuint)input.Length };
            var to = new ZstdBuffer { Start = (nint)target, Size = (nuint)output.Length };
            var result = Zstd.ZSTD_decompressStream(handle, ref to, ref from);
            if (Zstd.ZSTD_isError(result) != 0)
                throw new InvalidDataException($"Zstandard: {Marshal.PtrToStringUTF8(Zstd.ZSTD_getErrorName(result))}");
            if (from.Position > 0 || to.Position > 0)   // asked with nothing to read, libzstd answers as if a next frame had begun
                InsideFrame = result != 0;
            return ((int)from.Position, (int)to.Position);
        }
    }

    /// <inheritdoc/>
    protected override bool ReleaseHandle() => Zstd.ZSTD_freeDCtx(handle) == 0;
}
