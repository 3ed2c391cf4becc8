using System.Buffers;

namespace Trainer.Data.HuggingFace;

/// <summary>Token ids on their way to the caller.</summary>
internal sealed class IdBuffer
{
    private int[] ids = new int[1024];

    public int Count { get; private set; }

    public ReadOnlySpan<int> Written => ids.AsSpan(0, Count);

    public void Add(int id)
    {
        if (Count == ids.Length)
            Array.Resize(ref ids, Count * 2);
        ids[Count++] = id;
    }

    public void Add(ReadOnlySpan<int> more)
    {
        more.CopyTo(Reserve(more.Length));
        Count += more.Length;
    }

    /// <summary>Space for more ids, which <see cref="Advance"/> then counts in.</summary>
    public Span<int> Reserve(int count)
    {
        if (Count + count > ids.Length)
            Array.Resize(ref ids, Math.Max(Count + count, ids.Length * 2));
        return ids.AsSpan(Count, count);
    }

    public void Advance(int count) => Count += count;

    public void Clear() => Count = 0;

    /// <summary>Hands all ids over and empties the buffer.</summary>
    public void MoveTo(IBufferWriter<int> output)
    {
        if (Count > 0)
            output.Write(Written);
        Count = 0;
    }
}
