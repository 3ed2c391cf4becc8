namespace Trainer.Data;

/// <summary>Writes the shard of one split and counts what goes in.</summary>
/// <param name="path">The shard.</param>
/// <param name="vocabularySize">Token ids are below it.</param>
/// <param name="endToken">What is put behind each document, if anything.</param>
internal sealed class SplitWriter(string path, int vocabularySize, int? endToken = null) : IDisposable
{
    private readonly ShardWriter shard = new(path, vocabularySize);
    private long characters;
    private long bytes;

    public SplitStatistics Statistics => new(shard.Documents, characters, bytes, shard.Tokens);

    /// <summary>Appends the tokens of a part of a document; the shard's first document may begin in its middle.</summary>
    public void Append(ReadOnlySpan<int> ids, bool startsDocument, int addedCharacters, int addedBytes)
    {
        if (startsDocument || shard.Documents == 0)
            shard.StartDocument();
        shard.Append(ids);
        characters += addedCharacters;
        bytes += addedBytes;
    }

    /// <summary>Says that the document that was appended last is whole.</summary>
    public void EndDocument()
    {
        if (endToken is { } end)
            shard.Append([end]);
    }

    public void Finish(string fingerprint) => shard.Finish(fingerprint);

    public void Dispose() => shard.Dispose();
}
