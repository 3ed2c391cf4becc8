using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Evaluation.Scoring;
using Trainer.Models;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests.Scoring;

public sealed class SequenceScorerTests
{
    /// <summary>A vocabulary of words with the special tokens that encoders and encoder-decoders need.</summary>
    private static readonly Tokenizer Words = TinyTokenizer.Words(framed: true);

    [Fact]
    public void A_decoder_predicts_all_but_the_first_from_those_before()
    {
        using LanguageModel model = Ready(TinyModel.Build(dropout: 0));
        int[] tokens = [7, 200, 3, 7, 90];

        (TokenScores scores, Tensor logits) = Score(model, ByteTokenizer.Instance, tokens);

        Assert.Null(scores.NegativeLogLikelihood[0]);
        for (int i = 1; i < tokens.Length; i++)
            Assert.Equal(-LogProbability(model, new(Row(tokens[..i])), i - 1, tokens[i]), scores.NegativeLogLikelihood[i]!.Value, 1e-3);
        Assert.Equal([5, 256], logits.shape);
        Assert.Equal([null], Score(model, ByteTokenizer.Instance, [9]).Scores.NegativeLogLikelihood);
    }

    [Fact]
    public void Tokens_of_a_prefix_have_no_score()
    {
        using LanguageModel model = Ready(TinyModel.Build(dropout: 0, prefix: 3));
        int[] tokens = [7, 200, 3, 7, 90];

        IReadOnlyList<double?> losses = Score(model, ByteTokenizer.Instance, tokens).Scores.NegativeLogLikelihood;

        Assert.Equal([null, null, null], losses.Take(3));
        for (int i = 3; i < tokens.Length; i++)
            Assert.Equal(-LogProbability(model, new(Row(tokens[..i])), i - 1, tokens[i]), losses[i]!.Value, 1e-3);
        Assert.Equal([null, null], Score(model, ByteTokenizer.Instance, [9, 8]).Scores.NegativeLogLikelihood);
    }

    [Fact]
    public void An_encoder_guesses_each_token_from_all_others_but_no_special_ones()
    {
        using LanguageModel model = Ready(TinyModel.BuildEncoder(Words.VocabularySize));
        int[] tokens = SequenceScorer.For(model, Words).Encode("a cat sat here");
        Assert.Equal([1, 4, 5, 6, 7, 2], tokens);

        TokenScores scores = Score(model, Words, tokens).Scores;

        Assert.Null(scores.NegativeLogLikelihood[0]);
        Assert.Null(scores.NegativeLogLikelihood[^1]);
        for (int i = 1; i < tokens.Length - 1; i++)
        {
            int[] hidden = [.. tokens];
            hidden[i] = 0;
            Assert.Equal(-LogProbability(model, new(Row(hidden)), i, tokens[i]), scores.NegativeLogLikelihood[i]!.Value, 1e-3);
        }
    }

    [Fact]
    public void An_encoder_without_a_mask_token_has_logits_but_no_scores()
    {
        using LanguageModel model = Ready(TinyModel.BuildEncoder());
        SequenceScorer scorer = SequenceScorer.For(model, ByteTokenizer.Instance);
        using Tensor logits = scorer.Logits([1, 2, 3]);

        Assert.Equal([3, 256], logits.shape);
        var error = Assert.Throws<UserException>(() => scorer.Score([1, 2, 3], logits));
        Assert.Equal("an encoder guesses hidden tokens, but its tokenizer (byte) has no mask token to hide them with ([MASK], <mask>); " +
            "its logits can be had with --logits", error.Message);
        Assert.Equal(error.Message, scorer.WhyUnsupported);
    }

    [Fact]
    public void An_encoder_decoder_predicts_the_target_beside_its_source()
    {
        using LanguageModel model = Ready(TinyModel.BuildEncoderDecoder(Words.VocabularySize));
        SequenceScorer scorer = SequenceScorer.For(model, Words);
        int[] tokens = scorer.Encode("a cat"), source = scorer.EncodeSource("sat here");
        Assert.Equal([1, 4, 5, 2], tokens);
        Assert.Equal([6, 7, 2], source);

        TokenScores scores = Score(model, Words, tokens, source).Scores, other = Score(model, Words, tokens, [4, 2]).Scores;

        for (int i = 1; i < tokens.Length; i++)
            Assert.Equal(-LogProbability(model, new(Row(tokens[..i])) { Source = new(Row(source)) }, i - 1, tokens[i]),
                scores.NegativeLogLikelihood[i]!.Value, 1e-3);
        Assert.NotEqual(scores.Total, other.Total, 1e-3);
    }

    [Fact]
    public void An_imported_encoder_decoder_has_its_own_tokens_around_both_texts()
    {
        using LanguageModel model = Ready(TinyModel.BuildEncoderDecoder(Words.VocabularySize));
        SequenceScorer scorer = SequenceScorer.For(model, Words, new(2, 2) { Before = [1] });
        Assert.Equal([2, 1, 4, 5, 2], scorer.Encode("a cat"));
        Assert.Equal([1, 6, 7, 2], scorer.EncodeSource("sat here"));
    }

    [Fact]
    public void A_source_too_many_or_too_few_and_ids_that_are_none_are_refused()
    {
        using LanguageModel decoder = Ready(TinyModel.Build()), translator = Ready(TinyModel.BuildEncoderDecoder(Words.VocabularySize));
        Fails(decoder, [1], [2],
            "a source is for encoder-decoders, which read one text and write another; this model reads only what it scores: leave out " +
            "--source and --source-tokens");
        Fails(translator, [1], null,
            "an encoder-decoder scores one text beside another: say with --source or --source-tokens what it reads");
        Fails(translator, [1], [8], "source token 0 is 8, but the model's token ids are 0 to 7");
        Fails(decoder, [1, 256], null, "token 1 is 256, but the model's token ids are 0 to 255");
        Fails(decoder, [], null, "there is nothing to score: the text has no tokens");

        static void Fails(LanguageModel model, int[] tokens, int[]? source, string message) =>
            Assert.Equal(message, Assert.Throws<UserException>(() => SequenceScorer.For(model, Words).Logits(tokens, source)).Message);
    }

    private static LanguageModel Ready(LanguageModel model)
    {
        model.eval();
        return model;
    }

    private static (TokenScores Scores, Tensor Logits) Score(LanguageModel model, Tokenizer tokenizer, int[] tokens, int[]? source = null)
    {
        SequenceScorer scorer = SequenceScorer.For(model, tokenizer);
        Tensor logits = scorer.Logits(tokens, source);
        return (scorer.Score(tokens, logits), logits);
    }

    private static Tensor Row(int[] tokens) => tensor([.. tokens.Select(id => (long)id)], [1, tokens.Length]);

    private static double LogProbability(LanguageModel model, ModelInput input, int place, int token)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        return model.call(input).select(0, 0).select(0, place).to(ScalarType.Float64).log_softmax(-1).select(0, token).ToDouble();
    }
}
