using System.Buffers;
using System.Text;
using Trainer.Configuration;

namespace Trainer.Text;

/// <summary>Encodes pieces of text into the shard of one split and counts what goes in.</summary>
internal sealed class SplitWriter(string path, Tokenizer tokenizer) : IDisposable
{
    private readonly ShardWriter shard = new(path, tokenizer.VocabularySize);
    private readonly ArrayBufferWriter<int> ids = new(1 << 20);
    private long characters;
    private long bytes;

    public SplitStatistics Statistics => new(shard.Documents, characters, bytes, shard.Tokens);

    /// <summary>Appends a part of a piece.</summary>
    /// <param name="piece">The piece it belongs to.</param>
    /// <param name="start">Where in the piece's text the part begins.</param>
    /// <param name="length">How many UTF-16 units it has.</param>
    public void Append(in TextPiece piece, int start, int length)
    {
        if (length == 0)
            return;
        var text = piece.Text.Span.Slice(start, length);
        if (shard.Documents == 0 || (piece.StartsDocument && start == 0))
            shard.StartDocument();
        ids.ResetWrittenCount();
        try
        {
            tokenizer.Encode(text, ids);
        }
        catch (EncodingException e)
        {
            throw new UserException($"{piece.Place(start + e.Position)}: {e.Reason}", e);
        }
        shard.Append(ids.WrittenSpan);
        characters += CodePoints.Count(text);
        bytes += Encoding.UTF8.GetByteCount(text);
    }

    public void Finish(string fingerprint) => shard.Finish(fingerprint);

    public void Dispose() => shard.Dispose();
}
