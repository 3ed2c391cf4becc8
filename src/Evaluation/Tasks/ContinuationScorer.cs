// Shapes: B requests, T tokens of the longest, V vocabulary.
using TorchSharp;
using Trainer.Configuration;
using Trainer.Data.Tokenizers;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Evaluation.Tasks;

/// <summary>The log-likelihood of a continuation in nats, and whether greedy decoding writes it.</summary>
internal readonly record struct Continuation(double LogLikelihood, bool IsGreedy);

/// <summary>Tells how likely a decoder takes texts to go on in given ways.</summary>
internal sealed class ContinuationScorer(LanguageModel model, Tokenizer tokenizer)
{
    private const long LogitsAtOnce = 1 << 25, TokensAtOnce = 1 << 14;

    /// <summary>Scores continuations of contexts. Spaces at a context's end belong to the continuation, and a context that is too long
    /// loses its beginning, both as in lm-evaluation-harness.</summary>
    public Continuation[] Score(IReadOnlyList<(string Context, string Text)> requests, Func<int, Func<string, UserException>> wrong)
    {
        Continuation[] results = new Continuation[requests.Count];
        (int Index, int[] Tokens, int Scored)[] encoded =
            [.. requests.Select((request, index) => Encode(request.Context, request.Text, wrong(index)) is var (tokens, scored)
                ? (index, tokens, scored)
                : default).OrderByDescending(request => request.Item2.Length)];
        for (int first = 0; first < encoded.Length;)
        {
            int length = encoded[first].Tokens.Length;
            int rows = (int)Math.Max(1, Math.Min(TokensAtOnce, LogitsAtOnce / model.VocabularySize) / length);
            (int Index, int[] Tokens, int Scored)[] batch = encoded[first..Math.Min(encoded.Length, first + rows)];
            foreach ((int index, Continuation result) in Score(batch, length)) results[index] = result;
            first += batch.Length;
        }
        return results;
    }

    private (int[] Tokens, int Scored) Encode(string context, string text, Func<string, UserException> wrong)
    {
        string kept = context.TrimEnd(), whole = kept + context[kept.Length..] + text;
        int[] before = [.. tokenizer.Template.Before, .. tokenizer.Encode(kept)];
        int[] tokens = [.. tokenizer.Template.Before, .. tokenizer.Encode(whole)];
        int scored = tokens.Length - before.Length;
        if (scored < 1) throw wrong($"the continuation \"{text}\" has no token of its own");
        if (before.Length == 0) throw wrong("nothing stands before the answer; a decoder predicts nothing from nothing");
        if (Math.Min(before.Length, model.ContextLength + 1 - scored) < model.PrefixLength)
            throw wrong($"the question has {before.Length} tokens, and the model reads {model.PrefixLength} together before it writes " +
                "(attention pattern 'prefix')");
        int most = model.ContextLength + 1; // the last is not read
        if (scored >= most) throw wrong($"the answer has {scored} tokens, and the model reads {model.ContextLength}");
        return (tokens.Length > most ? tokens[^most..] : tokens, scored);
    }

    private IEnumerable<(int Index, Continuation Result)> Score((int Index, int[] Tokens, int Scored)[] batch, int length)
    {
        using IDisposable inference = inference_mode();
        using DisposeScope scope = NewDisposeScope();
        // What fills short rows stands behind them, where a decoder does not look.
        long[] ids = new long[batch.Length * length];
        foreach ((int number, (int Index, int[] Tokens, int Scored) row) in batch.Index())
            for (int i = 0; i < row.Tokens.Length; i++) ids[number * length + i] = row.Tokens[i];
        Tensor all = tensor(ids, [batch.Length, length], dtype: ScalarType.Int64).to(model.Device);
        Tensor targets = all.narrow(1, 1, length - 1); // (B, T − 1)
        Tensor logits = model.call(new ModelInput(all.narrow(1, 0, length - 1))).to(ScalarType.Float32); // (B, T − 1, V)
        Tensor chosen = logits.gather(2, targets.unsqueeze(2)).squeeze(2);
        double[] losses = (logits.logsumexp(2) - chosen).to(ScalarType.Float64).cpu().data<double>().ToArray();
        bool[] greedy = logits.argmax(2).eq(targets).cpu().data<bool>().ToArray();
        return [.. batch.Select((row, number) =>
        {
            int from = number * (length - 1) + row.Tokens.Length - 1 - row.Scored;
            double loss = LogitsException.RequireFinite(losses.Skip(from).Take(row.Scored).Sum());
            return (row.Index, new Continuation(-loss, greedy.AsSpan(from, row.Scored).IndexOf(false) < 0));
        })];
    }
}
