using Trainer.Checkpoints;
using Trainer.Data;
using Trainer.Data.Corpora;
using Trainer.Data.Shards;
using Trainer.Models;
using Trainer.Tests;

namespace Trainer.Evaluation.Tests;

/// <summary>The fields in which a checkpoint of pairs looks for pairs in other files.</summary>
public sealed class CheckpointDataTests : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    public static TheoryData<string, SourceOptions> Sources => new()
    {
        { "translations", new() { Format = SourceFormat.DotnetTranslations, Language = "de" } },
        { "translations to target", new() { Format = SourceFormat.DotnetTranslations, Language = "de", TargetColumn = "target" } },
        { "synthetic", new() { Format = SourceFormat.Synthetic, Task = new CopyTaskOptions { Length = 4 } } },
    };

    [Theory]
    [MemberData(nameof(Sources))]
    public void Pairs_that_a_source_makes_itself_are_read_from_source_and_target(string name, SourceOptions trained) =>
        Assert.Equal(Tokens("named", new() { Path = "x.jsonl", Column = "source", TargetColumn = "target" }), Tokens(name, trained));

    [Theory]
    [InlineData("source", null)]
    [InlineData(null, "target")]
    public void Translations_back_are_read_the_other_way_round(string? targetColumn, string? column)
    {
        SourceOptions back = new()
        {
            Format = SourceFormat.DotnetTranslations, Language = "de", Column = column, TargetColumn = targetColumn,
        };
        Assert.Equal(Tokens("named", new() { Path = "x.jsonl", Column = "target", TargetColumn = "source" }), Tokens("back", back));
    }

    private long[] Tokens(string name, SourceOptions trained)
    {
        string pairs = directory.File("pairs.jsonl");
        File.WriteAllText(pairs, """
            {"source":"a cat","target":"sat here"}
            {"source":"cat","target":"a a cat"}

            """);
        using LanguageModel model = TinyModel.BuildEncoderDecoder(8);
        Checkpoint checkpoint = Checkpoint.Write(
            directory.File(name),
            new()
            {
                Name = name, Model = model.Options, Data = new()
                {
                    Train = [trained], Objective = DataObjective.SequenceToSequence,
                    Validation = trained.Format == SourceFormat.Synthetic ? [trained with { Split = SourceSplit.Validation }] : null,
                },
            },
            TinyTokenizer.Words(framed: false), model);
        using CheckpointData data = CheckpointData.Text(checkpoint, pairs, directory.File("datasets"));
        TokenShard shard = data.Tokens;
        long[] tokens = new long[shard.Length];
        shard.Read(0, tokens);
        Assert.NotEmpty(tokens);
        return tokens;
    }
}
