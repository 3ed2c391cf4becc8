using Trainer.Configuration;
using Trainer.Data;
using Trainer.Data.Batches;
using Trainer.Data.Tokenizers;
using Trainer.Distributed;
using Trainer.Evaluation;
using Trainer.Models;
using Trainer.Training.Losses;
using static TorchSharp.torch;

namespace Trainer.Training.Reinforcement;

/// <summary>Judges answers by the reward of a recipe. An answer that was cut is worth nothing.</summary>
internal sealed class AnswerGrader(ReinforcementOptions options, Tokenizer tokenizer, int end)
{
    private const int Examined = 1 << 16, RowsAtOnce = 64;

    /// <summary>The figures of <see cref="Validate"/>.</summary>
    public static IReadOnlyList<string> FigureNames { get; } = ["reward", "right", "length", "crossEntropy"];

    /// <summary>The token that ends an answer.</summary>
    public int End => end;

    /// <summary>That of a recipe.</summary>
    /// <exception cref="UserException">The tokenizer has no token that ends an answer.</exception>
    public static AnswerGrader Of(ReinforcementOptions options, Tokenizer tokenizer, DataOptions data) => new(
        options, tokenizer, EndOfText.Of(tokenizer, data.EndOfDocument) ?? throw new UserException(
            $"reinforcement needs a token that ends an answer, and the tokenizer ({tokenizer.Type}) has none; train the model of " +
            "initialize.from with type \"bpe\" and \"<|endoftext|>\" in tokenizer.specialTokens, or with a tokenizer.json that has one"));

    /// <summary>Throws where an answer of the data is too long for any to be right; looks at an epoch, or the first so many rows of
    /// one.</summary>
    public void RequireShortAnswers(BatchStream stream)
    {
        for (int rows = 0; rows < Examined && stream.Position.Epoch == 0; rows += RowsAtOnce)
            foreach (PromptedAnswer row in PromptedAnswer.Of(stream.Next(RowsAtOnce), end)) RequireShort(row);
    }

    /// <summary>The reward of a sampled answer, its end included, and whether it is the wanted one.</summary>
    public (double Reward, bool Right) Grade(int[] answer, PromptedAnswer row)
    {
        RequireShort(row);
        if (answer[^1] != end) return (0, false);
        (string text, string wanted) = (tokenizer.Decode(answer.AsSpan()[..^1]), tokenizer.Decode(row.Wanted));
        return (options.Reward.Score(text, wanted), text == wanted);
    }

    private void RequireShort(PromptedAnswer row)
    {
        if (row.Wanted.Length + 1 > options.MaximumTokens)
            throw new UserException(
                $"reinforcement.maximumTokens ({options.MaximumTokens}) is too few: the answer to \"{tokenizer.Decode(row.Prompt)}\" has " +
                $"{row.Wanted.Length} tokens and one that ends it; set it to {row.Wanted.Length + 1} or more");
    }

    /// <summary>Lets the model answer validation prompts, always with the most likely token: 1 − the mean reward, and figures.</summary>
    public LossMeans Validate(LanguageModel model, IReadOnlyList<Batch> batches, Device device, IProcessGroup processes)
    {
        AnswerReport report = new AnswerEvaluator(model, tokenizer, end, options.MaximumTokens, processes)
            .Evaluate(batches, options.Reward.Score);
        double entropy = LossEvaluator.Evaluate(model, batches, device, processes).MeanLoss;
        return new(1 - report.MeanReward, [report.MeanReward, report.RightShare, report.MeanLength, entropy]);
    }
}
