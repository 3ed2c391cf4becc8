using Trainer.Configuration;

namespace Trainer.Data.Tests;

/// <summary>Masked rows with the special tokens that the tokenizer puts around a text.</summary>
public sealed class MaskedRowsTests : IDisposable
{
    private const int Class = 0, Separator = 1;
    private readonly TemporaryFolder folder = new();
    private readonly Tokenizer tokenizer = BuildTokenizer();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Windows_stand_between_class_and_separator_and_every_token_comes_once_an_epoch()
    {
        using var shard = folder.Shard(Enumerable.Range(3, 250), tokenizer.VocabularySize);
        var rows = (MaskedRows)RowSource.For(new DataOptions { Train = [], Objective = DataObjective.Masked, Masking = new() { Probability = 0.5 } }, tokenizer, shard, 12);
        var stream = rows.Stream(shard.All, seed: 3);
        var seen = new List<long>();
        while (stream.Position.Epoch == 0 && seen.Count < 240)
        {
            var batch = rows.Collate([stream.Next()]);
            Assert.Equal((12, Class, Separator), (batch.Columns, batch.Inputs[0], batch.Inputs[11]));
            Assert.Equal((Batch.Ignored, Batch.Ignored), (batch.Targets[0], batch.Targets[11]));
            Assert.Equal(5, batch.TargetTokens);
            seen.AddRange(Enumerable.Range(1, 10).Select(place => batch.Targets[place] == Batch.Ignored ? batch.Inputs[place] : batch.Targets[place]));
        }
        Assert.Equal(240, seen.Distinct().Count());
        Assert.Equal(12, rows.TokensOfRow(shard.All, 3));
    }

    [Fact]
    public void A_context_without_room_between_them_is_named()
    {
        using var shard = folder.Shard(Enumerable.Range(3, 9), tokenizer.VocabularySize);
        string Fails(int context) => Assert.Throws<UserException>(
            () => RowSource.For(new DataOptions { Train = [], Objective = DataObjective.Masked }, tokenizer, shard, context).Open([shard.All], [1], 1)).Message;
        Assert.Equal("model.contextLength (2) leaves no room between the 2 special tokens that the tokenizer puts around a text; set it to 3 or more", Fails(2));
        Assert.Equal("data.train has 9 tokens, but model.contextLength (12) needs at least 10; set model.contextLength to 11 or less, or give more text", Fails(12));
    }

    private static Tokenizer BuildTokenizer()
    {
        var trainer = new BpeTokenizerOptions { VocabularySize = 262, SpecialTokens = ["[CLS]", "[SEP]", "[MASK]"] }.CreateTrainer();
        trainer.Observe(string.Concat(Enumerable.Repeat("the cat sat on the mat ", 20)));
        return trainer.Build();
    }
}
