using System.Text;

namespace Trainer.Data;

/// <summary>What was found in the data of a recipe, for a person to look at before training on it.</summary>
/// <param name="Directory">The folder of the prepared data.</param>
/// <param name="Tokenizer">The kind of tokenizer.</param>
/// <param name="VocabularySize">The number of different tokens.</param>
/// <param name="Files">The files that were read.</param>
/// <param name="FileBytes">Their size on the disk.</param>
/// <param name="Train">The training split.</param>
/// <param name="Validation">The validation split.</param>
/// <param name="SpecialTokens">The tokens that are no text, and what they are used for.</param>
/// <param name="Examples">Beginnings of documents, with their tokens.</param>
public sealed record DataReport(
    string Directory, string Tokenizer, int VocabularySize, int Files, long FileBytes,
    SplitStatistics Train, SplitStatistics Validation, IReadOnlyList<SpecialTokenUse> SpecialTokens, IReadOnlyList<DataExample> Examples)
{
    /// <summary>Looks at prepared data.</summary>
    /// <param name="data">The data.</param>
    /// <param name="options">What it was prepared for.</param>
    /// <param name="examples">How many examples to take, spread evenly over the training split.</param>
    /// <param name="tokens">The most tokens of an example.</param>
    /// <returns>The report.</returns>
    /// <exception cref="Configuration.UserException">The tokenizer lacks a token that the objective needs.</exception>
    public static DataReport Of(PreparedData data, DataOptions options, int examples = 3, int tokens = 12) => new(
        data.Directory, data.Tokenizer.Type, data.Tokenizer.VocabularySize, data.Sources.Count, data.Sources.Sum(source => source.Bytes),
        data.TrainStatistics, data.ValidationStatistics, SpecialTokenUse.Of(data.Tokenizer, options),
        [.. Places(data.Train, examples).Distinct().Select(place => Example(data, place.Start, Math.Min(tokens, place.End - place.Start)))]);

    /// <summary>Documents; where there are fewer documents than examples, places in the text.</summary>
    private static IEnumerable<(long Start, long End)> Places(TokenShard shard, int examples)
    {
        var documents = new DocumentTable(shard, shard.All);
        for (var i = 0; i < examples; i++)
            yield return documents.Count >= examples && documents[documents.Count * i / examples] is var (start, length)
                ? (start, start + length)
                : (shard.Length * i / examples, shard.Length);
    }

    private static DataExample Example(PreparedData data, long start, long length)
    {
        var ids = new long[length];
        data.Train.Read(start, ids);
        int[] tokens = [.. ids.Select(id => (int)id)];
        return new DataExample(data.Tokenizer.Decode(tokens), tokens, [.. tokens.Select(id => Encoding.UTF8.GetString(data.Tokenizer.TokenBytes(id)))]);
    }
}
