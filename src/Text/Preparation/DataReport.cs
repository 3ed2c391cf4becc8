using System.Text;

namespace Trainer.Text;

/// <summary>What was found in the data of a recipe, for a person to look at before training on it.</summary>
/// <param name="Directory">The folder of the prepared data.</param>
/// <param name="Tokenizer">The kind of tokenizer.</param>
/// <param name="VocabularySize">The number of different tokens.</param>
/// <param name="Files">The files that were read.</param>
/// <param name="FileBytes">Their size on the disk.</param>
/// <param name="Train">The training split.</param>
/// <param name="Validation">The validation split.</param>
/// <param name="Examples">Beginnings of documents, with their tokens.</param>
public sealed record DataReport(
    string Directory, string Tokenizer, int VocabularySize, int Files, long FileBytes,
    SplitStatistics Train, SplitStatistics Validation, IReadOnlyList<DataExample> Examples)
{
    /// <summary>Looks at prepared data.</summary>
    /// <param name="data">The data.</param>
    /// <param name="examples">How many examples to take, spread evenly over the training split.</param>
    /// <param name="tokens">The most tokens of an example.</param>
    /// <returns>The report.</returns>
    public static DataReport Of(PreparedData data, int examples = 3, int tokens = 12) => new(
        data.Directory, data.Tokenizer.Type, data.Tokenizer.VocabularySize, data.Sources.Count, data.Sources.Sum(source => source.Bytes),
        data.TrainStatistics, data.ValidationStatistics, [.. Starts(data.Train, examples).Distinct().Select(start => Example(data, start, tokens))]);

    /// <summary>Beginnings of documents; where there are fewer documents than examples, places in the text.</summary>
    private static IEnumerable<long> Starts(TokenShard shard, int examples) =>
        Enumerable.Range(0, examples).Select(i => shard.DocumentCount >= examples
            ? shard.DocumentStart(shard.DocumentCount * i / examples)
            : shard.Length * i / examples);

    private static DataExample Example(PreparedData data, long start, int most)
    {
        var ids = new long[Math.Min(most, data.Train.Length - start)];
        data.Train.Read(start, ids);
        int[] tokens = [.. ids.Select(id => (int)id)];
        return new DataExample(data.Tokenizer.Decode(tokens), tokens, [.. tokens.Select(id => Encoding.UTF8.GetString(data.Tokenizer.TokenBytes(id)))]);
    }
}
