using FsCheck;
using FsCheck.Fluent;
using Trainer.Data.Batches;
using Trainer.Data.Shards;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Batches;

/// <summary>All kinds of rows over shards of any shape.</summary>
internal static class RowKinds
{
    /// <summary>A byte-level tokenizer whose first ids are begin, end and mask tokens.</summary>
    public static Tokenizer Tokenizer { get; } = BuildTokenizer();

    public static int Vocabulary => Tokenizer.VocabularySize;

    /// <summary>Documents of various lengths, some empty, with random tokens.</summary>
    public static Gen<int[][]> Documents(int most) =>
        from lengths in Gen.Choose(0, 30).NonEmptyListOf()
        from longer in Gen.Choose(2, 200)
        from seed in Gen.Choose(0, int.MaxValue - 1)
        let random = new Random(seed)
        select lengths.Append(longer).Take(most)
            .Select(length => Enumerable.Range(0, length).Select(_ => 3 + random.Next(Vocabulary - 3)).ToArray()).ToArray();

    public static TheoryData<string> Names => ["crops", "skipping", "documents", "masked", "whole words masked", "pairs", "prompts"];

    public static RowSource Open(string name, TokenShard shard, int columns) => name switch
    {
        "crops" => new CropRows(shard, columns),
        "skipping" => new SkippingRows(shard, Math.Max(2, columns), 5 * columns),
        "documents" => new PackedRows(shard, columns),
        "masked" => new MaskedRows(shard, columns, new TokenMasker(Tokenizer, new MaskingOptions()), SpecialTokenTemplate.Empty),
        "whole words masked" =>
        new MaskedRows(shard, columns, new TokenMasker(Tokenizer, new MaskingOptions { WholeWord = true }),
        new SpecialTokenTemplate(columns > 2 ? [0] : [], [])),
        "pairs" => new SequenceToSequenceRows(shard, columns, SequenceTokens.Of(Tokenizer)),
        "prompts" => new PromptRows(shard, 2 * columns + 200, EndOfText.Of(Tokenizer)),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, "no such rows"),
    };

    /// <summary>The content of a batch, for comparison.</summary>
    public static string Content(Batch batch) => string.Join(" | ",
        ((long[]?[])[batch.Inputs, batch.Targets, batch.Documents, batch.Positions, batch.Source?.Tokens])
            .Select(part => part is null ? "-" : string.Join(',', part)));

    /// <summary>The rows of a batch without padding that depends on other rows.</summary>
    public static IEnumerable<string> Rows(Batch batch) => Enumerable.Range(0, batch.Rows).Select(row =>
    {
        var one = batch.Part(row, batch.Rows);
        var scored = Array.FindLastIndex(one.Targets, target => target != Batch.Ignored) + 1;
        var kept = one.Source is not null || (one.Documents is null && one.Inputs.AsSpan(scored).IndexOfAnyExcept(0) < 0)
            ? scored
            : one.Columns;
        var source = one.Source is null ? "" : string.Join(',', one.Source.Tokens[..one.Source.Lengths[0]]);
        return $"{string.Join(',', one.Inputs[..kept])} | {string.Join(',', one.Targets[..kept])} "
            + $"| {string.Join(',', one.Documents ?? [])} | {string.Join(',', one.Positions ?? [])} | {source}";
    });

    private static Tokenizer BuildTokenizer()
    {
        var trainer = new BpeTokenizerOptions { VocabularySize = 300, SpecialTokens = ["<s>", "</s>", "[MASK]"] }.CreateTrainer();
        trainer.Observe(string.Concat(Enumerable.Repeat("the cat sat on the mat and the other cat ran around another matter ", 20)));
        return trainer.Build();
    }
}
