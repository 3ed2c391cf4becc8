using Trainer.Configuration;
using Trainer.Data.Shards;

namespace Trainer.Evaluation;

/// <summary>Tokens to score, one document after the other.</summary>
public abstract class TokenText
{
    private protected TokenText()
    {
    }

    internal abstract long Length { get; }

    internal abstract long Documents { get; }

    /// <summary>The first tokens of a shard, or all of them; the caller keeps the shard.</summary>
    public static TokenText Of(TokenShard shard, long? tokens = null) =>
        new ShardText(shard, Math.Min(tokens ?? long.MaxValue, shard.Length));

    /// <summary>Tokens in memory, one document.</summary>
    public static TokenText Of(IReadOnlyList<int> tokens) => Of([tokens]);

    internal static TokenText Of(IReadOnlyList<IReadOnlyList<int>> documents) => new MemoryText(documents);

    internal abstract long Start(long document);

    internal abstract void Read(long start, Span<long> destination);

    internal abstract void RequireBelow(int vocabularySize);

    internal IEnumerable<(long Start, long Length)> Sequences(bool documents)
    {
        if (!documents)
        {
            yield return (0, Length);
            yield break;
        }
        for (long document = 0; document < Documents; document++)
        {
            long start = Start(document);
            yield return (start, (document + 1 < Documents ? Start(document + 1) : Length) - start);
        }
    }

    private sealed class ShardText(TokenShard shard, long length) : TokenText
    {
        private readonly long documents = DocumentsBefore(shard, length);

        internal override long Length => length;

        internal override long Documents => documents;

        internal override long Start(long document) => shard.DocumentStart(document);

        internal override void Read(long start, Span<long> destination) => shard.Read(start, destination);

        // Documents that begin before the end; the last one may be cut off by it.
        private static long DocumentsBefore(TokenShard shard, long length)
        {
            if (length == shard.Length) return shard.DocumentCount;
            (long low, long high) = (0, shard.DocumentCount);
            while (low < high)
            {
                long middle = (low + high) / 2;
                if (shard.DocumentStart(middle) < length) low = middle + 1;
                else high = middle;
            }
            return low;
        }

        internal override void RequireBelow(int vocabularySize)
        {
            if (shard.VocabularySize > vocabularySize)
                throw new UserException(
                    $"{shard.Name} is encoded into {shard.VocabularySize} kinds of tokens, but the model knows {vocabularySize}; " +
                    "encode it with the model's own tokenizer");
        }
    }

    private sealed class MemoryText : TokenText
    {
        private readonly long[] tokens;
        private readonly long[] starts;

        public MemoryText(IReadOnlyList<IReadOnlyList<int>> documents)
        {
            tokens = [.. documents.SelectMany(document => document).Select(id => (long)id)];
            starts = new long[documents.Count];
            for (int i = 1; i < starts.Length; i++) starts[i] = starts[i - 1] + documents[i - 1].Count;
        }

        internal override long Length => tokens.Length;

        internal override long Documents => starts.Length;

        internal override long Start(long document) => starts[document];

        internal override void Read(long start, Span<long> destination) =>
            tokens.AsSpan((int)start, destination.Length).CopyTo(destination);

        internal override void RequireBelow(int vocabularySize)
        {
            int wrong = Array.FindIndex(tokens, id => id < 0 || id >= vocabularySize);
            if (wrong >= 0)
                throw new UserException($"token {wrong} is {tokens[wrong]}, but the model's token ids are 0 to {vocabularySize - 1}");
        }
    }
}
