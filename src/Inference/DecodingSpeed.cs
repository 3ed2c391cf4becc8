using System.Diagnostics;
using Trainer.Models;
using static TorchSharp.torch;

namespace Trainer.Inference;

/// <summary>Measures how fast a model continues one text.</summary>
public static class DecodingSpeed
{
    private const int Rounds = 3;

    /// <summary>Tokens per second, of <paramref name="tokens"/> behind a prompt: the best of three times, greedily. The model is in evaluation
    /// mode from now on.</summary>
    public static double Measure(LanguageModel model, Device device, IReadOnlyList<int> prompt, int tokens)
    {
        model.eval();
        double best = double.PositiveInfinity;
        for (int round = 0; round < Rounds; round++)
        {
            using IDecoder decoder = IDecoder.Create(model, device, sequences: 1, capacity: prompt.Count + tokens);
            int next = Likeliest(decoder.Begin(prompt));
            long start = Stopwatch.GetTimestamp();
            for (int token = 0; token < tokens; token++) next = Likeliest(decoder.Next([next]));
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return tokens / best;
    }

    private static int Likeliest(ReadOnlySpan<float> logits)
    {
        int best = 0;
        for (int token = 1; token < logits.Length; token++)
            if (logits[token] > logits[best]) best = token;
        return best;
    }
}
