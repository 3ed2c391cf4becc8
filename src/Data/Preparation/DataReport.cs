using System.Text;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Chat;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Preparation;

/// <summary>A summary of a recipe's data, to look at before training.</summary>
public sealed record DataReport(
    string Directory, string Tokenizer, int VocabularySize, int Files, long FileBytes,
    SplitStatistics Train, SplitStatistics Validation, IReadOnlyList<SpecialTokenUse> SpecialTokens, IReadOnlyList<DataExample> Examples)
{
    /// <summary>What rows leave of conversations; null where there are none.</summary>
    public ConversationFit? Conversations { get; init; }

    /// <summary>Examples have up to <paramref name="tokens"/> tokens; throws where a special token is missing.</summary>
    public static DataReport Of(PreparedData data, DataOptions options, int examples = 3, int tokens = 12) => new(
        data.Directory, data.Tokenizer.Type, data.Tokenizer.VocabularySize, data.Sources.Count, data.Sources.Sum(source => source.Bytes),
        data.TrainStatistics, data.ValidationStatistics, SpecialTokenUse.Of(data.Tokenizer, options),
        [.. Places(data.Train, examples).Distinct()
            .Select(place => Example(data, place.Start, Math.Min(tokens, place.End - place.Start)))]);

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
        return new DataExample(data.Tokenizer.Decode(tokens), tokens,
            [.. tokens.Select(id => Encoding.UTF8.GetString(data.Tokenizer.TokenBytes(id)))]);
    }
}

/// <summary>A short excerpt of training data: text, ids, and the text of each token (U+FFFD for a partial character).</summary>
public sealed record DataExample(string Text, IReadOnlyList<int> Ids, IReadOnlyList<string> Tokens);

/// <summary>A special token and its use, such as <c>ends documents</c>.</summary>
public sealed record SpecialTokenUse(string Use, string Token, int Id)
{
    internal static IReadOnlyList<SpecialTokenUse> Of(Tokenizer tokenizer, DataOptions options)
    {
        SpecialTokenUse Use(string use, int id) => new(use, Encoding.UTF8.GetString(tokenizer.TokenBytes(id)), id);
        if (options.Objective == DataObjective.SequenceToSequence)
        {
            var marks = SequenceTokens.Of(tokenizer, options);
            return
            [
                Use("begins what is written", marks.Begin),
                .. marks.Before.Select(before => Use("stands before what is read and written", before)),
                Use("ends what is read and written", marks.End),
            ];
        }
        if (options.UsesTemplate)
            return [.. ConversationTemplate.Open(options.Conversations).SpecialTokens.Select(token => Use(
                "of the chat template", tokenizer.TokenId(token) ?? throw new UserException(
                    $"the chat template's token {token} is none of the tokenizer's ({tokenizer.Type}); prepare the data again")))];
        var ends = EndOfText.Of(tokenizer, options.EndOfDocument) is { } id
            ? Use(options.IsPaired ? "ends what is written" : "ends documents", id)
            : null;
        SpecialTokenUse[] last = ends is null ? [] : [ends];
        return options.Objective != DataObjective.Masked ? last :
        [
            .. tokenizer.Template.Before.Select(before => Use("begins rows", before)),
            Use("hides tokens", MaskToken.Require(tokenizer)),
            .. last,
            .. tokenizer.Template.After.Select(after => Use("ends rows", after)),
        ];
    }
}
