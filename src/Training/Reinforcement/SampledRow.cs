using System.Runtime.InteropServices;
using Trainer.Data.Batches;

namespace Trainer.Training.Reinforcement;

/// <summary>A prompt, at least one token, an answer to it, and what that is worth.</summary>
internal sealed record SampledRow(int[] Prompt, int[] Answer, double Reward, double Advantage, bool Right)
{
    private int Columns => Prompt.Length + Answer.Length - 1; // the last token is only a target

    /// <summary>Rows of which the answers are the targets, padded on the right, where causal decoders never look.</summary>
    public static Batch Collate(IReadOnlyList<SampledRow> rows)
    {
        int columns = rows.Max(row => row.Columns);
        long[] inputs = new long[rows.Count * columns], targets = new long[rows.Count * columns]; // (B, T)
        Array.Fill(targets, Batch.Ignored);
        foreach ((int index, SampledRow row) in rows.Index())
        {
            (int[] prompt, int[] answer) = (row.Prompt, row.Answer);
            int start = index * columns, first = start + prompt.Length - 1;
            for (int i = 0; i < prompt.Length; i++) inputs[start + i] = prompt[i];
            for (int i = 0; i < answer.Length - 1; i++) inputs[first + 1 + i] = answer[i];
            for (int i = 0; i < answer.Length; i++) targets[first + i] = answer[i];
        }
        return new(inputs, targets, rows.Count, columns)
        {
            Lengths = [.. rows.Select(row => row.Columns)],
            Samples = new([.. rows.Select(row => (float)row.Reward)], [.. rows.Select(row => (float)row.Advantage)],
                [.. rows.Select(row => row.Right)]),
        };
    }
}

internal static class Floats
{
    public static byte[] ToBytes(float[] numbers) => MemoryMarshal.AsBytes<float>(numbers).ToArray();

    public static float[] FromBytes(byte[] bytes) => MemoryMarshal.Cast<byte, float>(bytes).ToArray();
}
