namespace Trainer.Data;

/// <summary>Encodes text on all cores and writes it in its order, so that the shards do not depend on the number of cores.</summary>
/// <remarks>One thread reads ahead and writes; each core has two chunks under way or waiting, and no more, so that memory stays
/// the same whatever the length of the text.</remarks>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="threads">How many chunks are encoded at once; 0 = as many as there are cores.</param>
/// <param name="chunkCapacity">UTF-16 units in a chunk.</param>
internal sealed class ParallelEncoder(Tokenizer tokenizer, int threads = 0, int chunkCapacity = TextChunk.DefaultCapacity)
{
    private readonly int ahead = 2 * (threads > 0 ? threads : Environment.ProcessorCount);
    private readonly Queue<(TextChunk Chunk, Task Work)> underWay = new();
    private readonly Stack<TextChunk> spare = new();

    /// <summary>Whether documents are pairs by turns, which go into one split together.</summary>
    public bool KeepsPairs { get; init; }

    /// <summary>Encodes all pieces.</summary>
    /// <param name="pieces">The text.</param>
    /// <param name="kept">The first split.</param>
    /// <param name="keptCharacters">How many code points go into it.</param>
    /// <param name="heldOut">The split for the rest.</param>
    /// <param name="wrote">Called after each chunk.</param>
    /// <exception cref="Configuration.UserException">The first text, in its order, that cannot be read or encoded.</exception>
    public void Encode(IEnumerable<TextPiece> pieces, SplitWriter kept, long keptCharacters, SplitWriter heldOut, Action wrote)
    {
        SplitWriter? open = null;
        using var chunks = new ChunkReader(Rent, keptCharacters, KeepsPairs).Read(pieces).GetEnumerator();
        try
        {
            while (MoveNext(chunks, WriteNext))
            {
                if (underWay.Count == ahead)
                    WriteNext();
                var chunk = chunks.Current;
                underWay.Enqueue((chunk, Task.Run(() => chunk.Encode(tokenizer))));
            }
            while (underWay.Count > 0)
                WriteNext();
            open?.EndDocument();
        }
        finally
        {
            while (underWay.TryDequeue(out var rest))
                ((IAsyncResult)rest.Work).AsyncWaitHandle.WaitOne();
        }

        void WriteNext()
        {
            var (chunk, work) = underWay.Dequeue();
            work.GetAwaiter().GetResult();
            chunk.WriteTo(kept, heldOut, ref open);
            chunk.Clear();
            spare.Push(chunk);
            wrote();
        }
    }

    /// <summary>Reads the next chunk. When that fails, what was read before is finished first, since its error would come first.</summary>
    private bool MoveNext(IEnumerator<TextChunk> chunks, Action writeNext)
    {
        try
        {
            return chunks.MoveNext();
        }
        catch
        {
            while (underWay.Count > 0)
                writeNext();
            throw;
        }
    }

    private TextChunk Rent() => spare.TryPop(out var chunk) ? chunk : new TextChunk(chunkCapacity);
}
