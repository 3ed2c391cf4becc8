using TorchSharp;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tests;

/// <summary>One token at a time: the definition, without windows, batches or padding.</summary>
internal static class NaiveEvaluation
{
    /// <summary>−log p of each scored token of one sequence, with what it was predicted from.</summary>
    public static List<(int Token, int Context, double Loss)> Score(
        LanguageModel model, IReadOnlyList<int> tokens, PerplexityOptions options)
    {
        List<(int, int, double)> scores = [];
        List<int> all = options.Beginning is { } beginning ? [beginning.Token, .. tokens] : [.. tokens];
        for (int i = 1; i < all.Count; i++)
        {
            int[] context = Context(all, i, options);
            scores.Add((all[i], context.Length, -LogProbability(model, context, all[i])));
        }
        return scores;
    }

    /// <summary>The first window reaches to token N; each later one reaches stride further and forgets as much.</summary>
    private static int[] Context(List<int> all, int i, PerplexityOptions options)
    {
        int start = i <= options.Window ? 0 : (i - options.Window + options.Stride - 1) / options.Stride * options.Stride;
        int[] context = [.. all[start..i]];
        if (options.Beginning is { EveryWindow: true, Token: var token }) context[0] = token;
        return context;
    }

    private static double LogProbability(LanguageModel model, int[] context, int token)
    {
        using DisposeScope scope = NewDisposeScope();
        using IDisposable quiet = no_grad();
        // (1, V)
        Tensor logits = model.call(tensor([.. context.Select(id => (long)id)], [1, context.Length])).select(1, context.Length - 1);
        return logits.to(ScalarType.Float64).log_softmax(-1).select(1, token).ToDouble();
    }
}
