using Trainer.Data.Batches;
using Trainer.Data.Chat;
using Trainer.Data.Corpora;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Preparation;

/// <summary>Encodes text on all cores and writes it in order, so the shards do not depend on the number of cores. One thread reads ahead
/// and writes; each core has at most two chunks, so memory is bounded. 0 threads means one per core.</summary>
internal sealed class ParallelEncoder(Tokenizer tokenizer, int threads = 0, int chunkCapacity = TextChunk.DefaultCapacity)
{
    private readonly int ahead = 2 * (threads > 0 ? threads : Environment.ProcessorCount);
    private readonly Queue<(TextChunk Chunk, Task Work)> underWay = new();
    private readonly Stack<TextChunk> spare = new();

    /// <summary>Whether documents alternate as pairs, which stay in one split.</summary>
    public bool KeepsPairs { get; init; }

    /// <summary>The first <paramref name="keptCharacters"/> code points go into one split, the rest into another.</summary>
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

    /// <summary>Reads the next chunk. If that fails, finishes the earlier chunks first, whose errors come first.</summary>
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

internal sealed class SplitWriter(string path, int vocabularySize, int? endToken = null, bool marksLearned = false) : IDisposable
{
    private readonly ShardWriter shard = new(path, vocabularySize, marksLearned);
    private long characters;
    private long bytes;

    public SplitStatistics Statistics => new(shard.Documents, characters, bytes, shard.Tokens);

    /// <summary>Appends tokens of a document; the shard's first document may start in its middle.</summary>
    public void Append(ReadOnlySpan<int> ids, bool startsDocument, int addedCharacters, int addedBytes)
    {
        if (startsDocument || shard.Documents == 0)
            shard.StartDocument();
        shard.Append(ids);
        characters += addedCharacters;
        bytes += addedBytes;
    }

    /// <summary>Appends a whole conversation, which has characters and bytes of text. Its first token is nothing to learn, for nothing
    /// comes before it; a text's is, which tells them apart (<see cref="ConversationCut.IsText"/>).</summary>
    public void Append(ConversationTokens conversation, int addedCharacters, int addedBytes)
    {
        shard.StartDocument();
        shard.Append(conversation.Ids, [.. conversation.Learned.Select((learned, index) => learned && index > 0)]);
        characters += addedCharacters;
        bytes += addedBytes;
    }

    public void EndDocument()
    {
        if (endToken is { } end)
            shard.Append([end]);
    }

    public void Finish(string fingerprint) => shard.Finish(fingerprint);

    public void Dispose() => shard.Dispose();
}
