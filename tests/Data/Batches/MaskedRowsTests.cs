using FsCheck.Fluent;
using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;

namespace Trainer.Data.Tests.Batches;

/// <summary>Masked rows framed by special tokens.</summary>
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
        var rows = (MaskedRows)RowSource.Create(new DataOptions { Train = [], Objective = DataObjective.Masked,
            Masking = new() { Probability = 0.5 } }, tokenizer, shard, 12);
        var stream = rows.Stream(shard.All, seed: 3);
        var seen = new List<long>();
        while (stream.Position.Epoch == 0 && seen.Count < 240)
        {
            var batch = rows.Collate([stream.Next()]);
            Assert.Equal((12, Class, Separator), (batch.Columns, batch.Inputs[0], batch.Inputs[11]));
            Assert.Equal((Batch.Ignored, Batch.Ignored), (batch.Targets[0], batch.Targets[11]));
            Assert.Equal(5, batch.TargetTokens);
            seen.AddRange(Enumerable.Range(1, 10)
                .Select(place => batch.Targets[place] == Batch.Ignored ? batch.Inputs[place] : batch.Targets[place]));
        }
        Assert.Equal(240, seen.Distinct().Count());
        Assert.Equal(12, rows.TokensPerRow(shard.All, 3));
    }

    [Fact]
    public void A_context_without_room_between_them_is_named()
    {
        using var shard = folder.Shard(Enumerable.Range(3, 9), tokenizer.VocabularySize);
        string Fails(int context) => Assert.Throws<UserException>(
            () => RowSource.Create(new DataOptions { Train = [], Objective = DataObjective.Masked }, tokenizer, shard, context)
                .Open([shard.All], [1], 1)).Message;
        Assert.Equal("model.contextLength (2) leaves no room between the 2 special tokens that the tokenizer puts around a text; set it to "
            + "3 or more", Fails(2));
        Assert.Equal("data.train has 9 tokens, but model.contextLength (12) needs at least 10; set model.contextLength to 11 or less, or "
            + "give more text", Fails(12));
    }

    private static Tokenizer BuildTokenizer()
    {
        var trainer = new BpeTokenizerOptions { VocabularySize = 262, SpecialTokens = ["[CLS]", "[SEP]", "[MASK]"] }.CreateTrainer();
        trainer.Observe(string.Concat(Enumerable.Repeat("the cat sat on the mat ", 20)));
        return trainer.Build();
    }
}

public sealed class TokenMaskerTests
{
    private static readonly int Mask = RowKinds.Tokenizer.TokenId("[MASK]")!.Value;

    [Theory]
    [InlineData(0.15, false)]
    [InlineData(0.15, true)]
    [InlineData(0.4, false)]
    public void The_shares_are_those_asked_for(double probability, bool wholeWord)
    {
        var masker = new TokenMasker(RowKinds.Tokenizer, new MaskingOptions { Probability = probability, WholeWord = wholeWord });
        var text = RowKinds.Tokenizer.Encode("another cat sat on the matter and ran, zxq around the mat; vwk pbd").Select(id => (long)id)
            .ToArray();
        var (all, chosen, masked, kept, row) = (0.0, 0.0, 0.0, 0.0, new long[text.Length]);
        var targets = new long[text.Length];
        for (var key = 0ul; key < 20_000; key++)
        {
            text.CopyTo(row, 0);
            masker.Hide(row, targets, key);
            all += row.Length;
            for (var i = 0; i < row.Length; i++)
                if (targets[i] == Batch.Ignored)
                    Assert.Equal(text[i], row[i]);
                else
                {
                    Assert.Equal(text[i], targets[i]);
                    chosen++;
                    masked += row[i] == Mask ? 1 : 0;
                    kept += row[i] == text[i] ? 1 : 0;
                }
        }
        Assert.Equal(probability, chosen / all, 0.004);
        Assert.Equal(0.8, masked / chosen, 0.005);
        Assert.Equal(0.1 + 0.1 / (RowKinds.Vocabulary - 3), kept / chosen, 0.005);   // a random token is the same one by chance
    }

    [Fact]
    public void Special_tokens_are_never_hidden_nor_drawn() =>
        Prop.ForAll((
            from tokens in Gen.Choose(0, RowKinds.Vocabulary - 1).NonEmptyListOf()
            from key in ArbMap.Default.GeneratorFor<ulong>()
            from wholeWord in ArbMap.Default.GeneratorFor<bool>()
            select (tokens, key, wholeWord)).ToArbitrary(), choice =>
        {
            var specials = RowKinds.Tokenizer.SpecialTokens;
            Assert.Equal(3, specials.Count);
            long[] before = [.. choice.tokens.Select(id => (long)id)];
            var (inputs, targets) = (before.ToArray(), new long[before.Length]);
            new TokenMasker(RowKinds.Tokenizer, new MaskingOptions { Probability = 0.5, WholeWord = choice.wholeWord })
                .Hide(inputs, targets, choice.key);
            for (var i = 0; i < before.Length; i++)
                if (specials.Contains((int)before[i]))
                    Assert.Equal((before[i], Batch.Ignored), (inputs[i], targets[i]));
                else if (specials.Contains((int)inputs[i]))
                    Assert.Equal((Mask, before[i]), (inputs[i], targets[i]));
            Assert.Equal(before.Any(id => !specials.Contains((int)id)), targets.Any(target => target != Batch.Ignored));
        }).Holds();

    [Fact]
    public void Words_are_hidden_all_or_none()
    {
        var text = "around zxqv, another-one the 1984x";
        var ids = RowKinds.Tokenizer.Encode(text);
        var masker = new TokenMasker(RowKinds.Tokenizer, new MaskingOptions { WholeWord = true, Probability = 0.3 });
        string[] words = ["around", " zxqv", ",", " another", "-", "one", " the", " 1984x"];
        for (var key = 0ul; key < 300; key++)
        {
            var (inputs, targets) = (ids.Select(id => (long)id).ToArray(), new long[ids.Length]);
            masker.Hide(inputs, targets, key);
            // A space that is no part of a letter's token stands for itself.
            var at = 0;
            foreach (var word in words)
            {
                var length = RowKinds.Tokenizer.Encode(word).Length;
                var skip = RowKinds.Tokenizer.DecodeBytes([ids[at]]) is [(byte)' '] ? 1 : 0;
                Assert.Single(targets[(at + skip)..(at + length)].Select(target => target == Batch.Ignored).Distinct());
                at += length;
            }
        }
    }

    [Fact]
    public void The_same_key_hides_the_same_and_another_something_else()
    {
        var masker = new TokenMasker(RowKinds.Tokenizer, new MaskingOptions());
        string Hidden(ulong key)
        {
            var (inputs, targets) = (Enumerable.Range(3, 100).Select(id => (long)id).ToArray(), new long[100]);
            masker.Hide(inputs, targets, key);
            return string.Join(',', inputs) + string.Join(',', targets);
        }
        Assert.Equal(Hidden(1), Hidden(1));
        Assert.NotEqual(Hidden(1), Hidden(2));
    }

    [Fact]
    public void A_tokenizer_without_mask_token_is_named()
    {
        var message = Assert.Throws<UserException>(() => new TokenMasker(new ByteTokenizerOptions().CreateTrainer().Build(),
            new MaskingOptions())).Message;
        Assert.Equal(
            "data.objective is \"masked\", but the tokenizer (byte) has no mask token ([MASK], <mask>, <|mask|>); "
            + "add \"[MASK]\" to tokenizer.specialTokens of type \"bpe\", or use type \"file\" with the tokenizer.json of a masked model",
            message);
    }
}
