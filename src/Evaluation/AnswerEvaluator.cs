using Trainer.Configuration;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Inference;
using Trainer.Models;

namespace Trainer.Evaluation;

/// <summary>A row of a text to read and a text to write behind it: token ids of both, without the one that ends them.</summary>
public sealed record PromptedAnswer(int[] Prompt, int[] Wanted)
{
    /// <summary>The rows of a batch of pairs.</summary>
    public static IReadOnlyList<PromptedAnswer> Of(Batch batch, int end) =>
        [.. Enumerable.Range(0, batch.Rows).Select(row => OfRow(batch, row, end)).OfType<PromptedAnswer>()];

    private static PromptedAnswer? OfRow(Batch batch, int row, int end)
    {
        ReadOnlySpan<long> targets = batch.Targets.AsSpan(row * batch.Columns, batch.Columns);
        int first = targets.IndexOfAnyExcept(Batch.Ignored);
        if (first < 0) return null;
        int count = targets[first..].IndexOf(Batch.Ignored) is var ignored and >= 0 ? ignored : targets.Length - first;
        int[] wanted = [.. targets.Slice(first, count).ToArray().Select(id => (int)id)];
        return new(
            [.. batch.Inputs.Skip(row * batch.Columns).Take(first + 1).Select(id => (int)id)],
            wanted[^1] == end ? wanted[..^1] : wanted);
    }
}

/// <summary>What a model answered to prompts: how many answers there are, how many are exactly those of the data, how many ended by
/// themselves, their rewards and their tokens, summed, with the one that ends each.</summary>
public sealed record AnswerReport(long Answers, long Right, long Ended, double Reward, long Tokens)
{
    /// <summary>The first prompts, with what is wanted and what was answered.</summary>
    public IReadOnlyList<(string Prompt, string Wanted, string Answer)> Examples { get; init; } = [];

    /// <summary>The share of answers that are right.</summary>
    public double RightShare => (double)Right / Answers;

    /// <summary>The mean reward.</summary>
    public double MeanReward => Reward / Answers;

    /// <summary>The mean number of tokens.</summary>
    public double MeanLength => (double)Tokens / Answers;
}

/// <summary>Lets a decoder answer the prompts of pairs, always with the most likely token, and compares with the pairs' own answers. Of
/// several processes with the same model and batches each answers its share, and all get the whole.</summary>
/// <param name="model">The decoder.</param>
/// <param name="tokenizer">Its tokenizer.</param>
/// <param name="end">The token that ends an answer: one without it after <paramref name="length"/> tokens is cut, and wrong.</param>
/// <param name="length">The most tokens of an answer.</param>
/// <param name="processes">Those that share the work; null for this one alone.</param>
public sealed class AnswerEvaluator(LanguageModel model, Tokenizer tokenizer, int end, int length, IProcessGroup? processes = null)
{
    private const int Kept = 4;

    /// <summary>Answers all prompts. <paramref name="reward"/> judges an answer that ended, given the one that is wanted; by default 1 for
    /// the same text and 0 for others.</summary>
    /// <exception cref="UserException">There are no prompts, or the logits are not finite.</exception>
    public AnswerReport Evaluate(IReadOnlyList<Batch> batches, Func<string, string, double>? reward = null)
    {
        IProcessGroup group = processes ?? new SingleProcess();
        PromptedAnswer[] rows =
            [.. Enumerable.Range(0, batches.Count).Where(index => index % group.Size == group.Rank)
                .SelectMany(index => PromptedAnswer.Of(batches[index], end))];
        CompletionSampler sampler = new(model, model.Device, tokenizer.VocabularySize, end);
        IReadOnlyList<IReadOnlyList<int[]>> answers = sampler.Sample(
            [.. rows.Select(row => new CompletionRequest(row.Prompt, [0]))], new SamplingOptions { Greedy = true }, length);
        (long right, long ended, long tokens, double sum) = (0, 0, 0, 0);
        foreach ((PromptedAnswer row, IReadOnlyList<int[]> one) in rows.Zip(answers))
        {
            tokens += one[0].Length;
            if (one[0][^1] != end) continue;
            (string answer, string wanted) = (tokenizer.Decode(one[0].AsSpan()[..^1]), tokenizer.Decode(row.Wanted));
            ended++;
            if (answer == wanted) right++;
            sum += reward?.Invoke(answer, wanted) ?? (answer == wanted ? 1 : 0);
        }
        long[] counts = group.Sum((long[])[rows.Length, right, ended, tokens]);
        if (counts[0] == 0) throw new UserException("there is nothing to answer: the data has no pair of a prompt and an answer");
        return new(counts[0], counts[1], counts[2], group.Sum(sum), counts[3])
        {
            Examples = [.. rows.Zip(answers).Take(Kept).Select(pair => (
                tokenizer.Decode(pair.First.Prompt), tokenizer.Decode(pair.First.Wanted),
                tokenizer.Decode(pair.Second[0].AsSpan()[..(pair.Second[0][^1] == end ? ^1 : ^0)])))],
        };
    }
}
