using Trainer.Models.Positions;

namespace Trainer.Inference;

/// <summary>Rotates queries and keys of width D by the cosines and sines in <paramref name="table"/>, computed for each row.</summary>
internal sealed unsafe class CpuRotary(RotaryOptions options, int width, RotaryFrequencies frequencies, float* table)
{
    private readonly int pairs = frequencies.Angular.Length;

    public RotaryOptions Options => options;

    public int Width => width;

    public void Compute(int position, int row)
    {
        float* cos = table + 2 * row * pairs;
        for (int i = 0; i < pairs; i++)
        {
            (double sine, double cosine) = Math.SinCos(position * frequencies.Angular[i]);
            (cos[i], cos[pairs + i]) = ((float)(cosine * frequencies.AttentionFactor), (float)(sine * frequencies.AttentionFactor));
        }
    }

    // (x₁, x₂) → (x₁·cos − x₂·sin, x₂·cos + x₁·sin)
    public void Rotate(float* head, int row)
    {
        float* cos = table + 2 * row * pairs, sin = cos + pairs;
        bool interleaved = options.Layout == RotaryLayout.Interleaved;
        for (int i = 0; i < pairs; i++)
        {
            float* first = head + (interleaved ? 2 * i : i), second = interleaved ? first + 1 : first + pairs;
            (*first, *second) = (*first * cos[i] - *second * sin[i], *second * cos[i] + *first * sin[i]);
        }
    }
}
