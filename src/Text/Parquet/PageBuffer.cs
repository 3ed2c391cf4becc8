using System.Buffers;

namespace Trainer.Text.Parquet;

/// <summary>Memory for pages, lent by the shared pool: some writers make pages of dozens of megabytes, and the next file needs them again.</summary>
internal sealed class PageBuffer : IDisposable
{
    /// <summary>The memory, at least as long as was asked for.</summary>
    public byte[] Array { get; private set; } = [];

    /// <summary>Makes room.</summary>
    /// <param name="size">The bytes needed.</param>
    /// <param name="kept">How many of those that are there to keep.</param>
    public void Reserve(int size, int kept = 0)
    {
        if (Array.Length >= size)
            return;
        var larger = ArrayPool<byte>.Shared.Rent(size);
        Array.AsSpan(0, kept).CopyTo(larger);
        Dispose();
        Array = larger;
    }

    /// <summary>Gives the memory back; nothing that was read into it may be used any more.</summary>
    public void Dispose()
    {
        if (Array.Length > 0)
            ArrayPool<byte>.Shared.Return(Array);
        Array = [];
    }
}
