using TorchSharp;
using Trainer.Configuration;
using Trainer.Models;
using Trainer.Models.Attention;
using Trainer.Tests;
using static TorchSharp.torch;

namespace Trainer.Inference.Tests;

public class BeamSearchTests
{
    private const int Vocabulary = 5, End = 4;

    [Theory]
    [InlineData(0)]
    [InlineData(0.6)]
    [InlineData(1)]
    public void With_beams_for_every_text_the_most_likely_one_of_all_is_found(double penalty)
    {
        using LanguageModel model = Decoder();
        BeamOptions options = new() { Beams = 700, LengthPenalty = penalty, Tokens = 4 };
        IReadOnlyList<Hypothesis> found = new BeamSearch(model, CPU, options).Search([1, 2], null, End)[0];
        var (tokens, score) = Everything(model, [1, 2], options).MaxBy(entry => entry.Score);
        Assert.Equal(tokens, found[0].Tokens);
        Assert.Equal(score, found[0].Score, 1e-4);
    }

    [Fact]
    public void One_beam_is_greedy_search()
    {
        using LanguageModel model = Decoder();
        Hypothesis found = new BeamSearch(model, CPU, new() { Beams = 1, Tokens = 7 }).Search([3, 0], null, end: null)[0][0];
        List<int> greedy = [3, 0];
        for (int step = 0; step < 7; step++) greedy.Add(Probabilities(model, greedy).Select((p, id) => (p, id)).Max().id);
        Assert.Equal(greedy[2..], found.Tokens);
        Assert.False(found.Ended);
    }

    [Fact]
    public void Searches_side_by_side_find_what_each_finds_alone()
    {
        using LanguageModel model = EncoderDecoder();
        using DisposeScope scope = NewDisposeScope();
        Tensor tokens = tensor([1L, 2, 3, 0, 2, 2, 0, 0, 3, 1, 4, 1]).view(3, 4);
        Tensor padding = tensor([0L, 0, 0, 0, 0, 0, -1, -1, 0, 0, 0, -1]).view(3, 4);
        BeamSearch search = new(model, CPU, new() { Beams = 3, Tokens = 6 });
        var together = search.Search([0], new ModelInput(tokens) { Documents = padding }, End);
        int[] lengths = [4, 2, 3];
        for (int row = 0; row < 3; row++)
        {
            var alone = search.Search([0], tokens.narrow(0, row, 1).narrow(1, 0, lengths[row]), End)[0];
            Assert.Equal(alone.Select(hypothesis => hypothesis.Tokens), together[row].Select(hypothesis => hypothesis.Tokens));
            TensorAssert.Equal(
                [.. alone.Select(hypothesis => hypothesis.Score)], [.. together[row].Select(hypothesis => hypothesis.Score)], 1e-4,
                $"the scores of search {row}");
        }
    }

    [Fact]
    public void A_length_penalty_does_not_put_longer_texts_behind()
    {
        using LanguageModel model = Decoder();
        int Length(double penalty) =>
            new BeamSearch(model, CPU, new() { Beams = 8, Tokens = 9, LengthPenalty = penalty }).Search([1], null, End)[0][0].Tokens.Count;
        Assert.True(Length(3) > Length(0), $"{Length(3)} against {Length(0)}");
    }

    [Fact]
    public void A_prompt_without_room_is_refused()
    {
        using LanguageModel model = Decoder();
        Assert.Contains(
            "needs at least one and at most 11",
            Assert.Throws<UserException>(() => new BeamSearch(model, CPU, new()).Search([], null, End)).Message);
    }

    private static IEnumerable<(int[] Tokens, double Score)> Everything(LanguageModel model, int[] prompt, BeamOptions options)
    {
        List<(int[] Tokens, double Log)> alive = [([], 0)];
        for (int length = 1; length <= options.Tokens; length++)
        {
            List<(int[], double)> next = [];
            foreach (var (tokens, log) in alive)
            {
                double[] p = Probabilities(model, [.. prompt, .. tokens]);
                yield return (tokens, (log + p[End]) / Penalty(length));
                for (int id = 0; id < End; id++) next.Add(([.. tokens, id], log + p[id]));
            }
            alive = next;
        }
        // There are more beams than texts that end: those that are cut off count, too.
        foreach (var (tokens, log) in alive) yield return (tokens, log / Penalty(options.Tokens));

        double Penalty(int length) => Math.Pow((5.0 + length) / 6, options.LengthPenalty);
    }

    private static double[] Probabilities(LanguageModel model, IReadOnlyList<int> ids)
    {
        using DisposeScope scope = NewDisposeScope();
        using var quiet = no_grad();
        model.eval();
        Tensor logits = model.forward(tensor([.. ids.Select(id => (long)id)]).unsqueeze(0));
        return [.. logits.log_softmax(-1).select(1, ids.Count - 1).reshape(-1).data<float>().ToArray().Select(value => (double)value)];
    }

    private static LanguageModel Decoder() => Scaled(new DecoderOptions
    {
        Dim = 16, Layers = 2, ContextLength = 12, Attention = new MultiHeadOptions { Heads = 2 },
    });

    private static LanguageModel EncoderDecoder() => Scaled(new EncoderDecoderOptions
    {
        Dim = 16, Layers = 2, ContextLength = 12, Attention = new GroupedQueryOptions { Heads = 4, KeyValueHeads = 2 },
    });

    private static LanguageModel Scaled(ModelOptions options)
    {
        manual_seed(7);
        LanguageModel model = options.Build(Vocabulary);
        using var quiet = no_grad();
        foreach (var parameter in model.parameters().Where(p => p.dim() >= 2)) parameter.mul_(12);
        return model;
    }
}
