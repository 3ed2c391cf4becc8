// Shapes: B batch, T positions, E channels, K positions looked at.
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Trainer.Models.Mixers;

/// <summary>A convolution of each channel by itself over the present position and the ones before.</summary>
/// <remarks>The weight is (E, 1, K) as torch's Conv1d has it, the present position last.</remarks>
internal sealed class CausalConvolution : nn.Module, IDrawsOwnWeights
{
    private readonly Parameter weight;
    private readonly Parameter bias;
    private readonly int channels;
    private readonly int positions;

    public CausalConvolution(int channels, int positions)
        : base(nameof(CausalConvolution))
    {
        (this.channels, this.positions) = (channels, positions);
        weight = new Parameter(zeros(channels, 1, positions));
        bias = new Parameter(zeros(channels));
        RegisterComponents();
    }

    /// <summary>As torch's Conv1d: uniform in ±1/√K.</summary>
    public IEnumerable<(string Name, Action<Tensor, Generator?> Draw)> OwnWeights => [(nameof(weight), Draw), (nameof(bias), Draw)];

    /// <summary>Runs the convolution.</summary>
    /// <param name="x">(B, T, E)</param>
    /// <param name="tail">The K − 1 positions before (B, K − 1, E); null for zeros.</param>
    /// <param name="runs">The number of the document that each position belongs to (B, T), of which no other sees anything; null where a row is one.</param>
    /// <returns>The result (B, T, E), and the last K − 1 positions.</returns>
    public (Tensor Result, Tensor Tail) Run(Tensor x, Tensor? tail, Tensor? runs)
    {
        tail ??= zeros(x.size(0), positions - 1, channels, dtype: x.dtype, device: x.device);
        Tensor all = cat([tail, x], 1); // (B, K−1+T, E)
        return (runs is null ? Convolved(all) : Apart(all, runs), all.narrow(1, x.size(1), positions - 1));
    }

    private Tensor Convolved(Tensor all) =>
        nn.functional.conv1d(all.transpose(1, 2), weight, bias, groups: channels).transpose(1, 2); // (B, E, K−1+T) → (B, E, T) → (B, T, E)

    private Tensor Apart(Tensor all, Tensor runs)
    {
        long length = runs.size(1);
        Tensor before = runs.narrow(1, 0, 1).expand(-1, positions - 1); // the tail is of the first document
        Tensor allRuns = cat([before, runs], 1); // (B, K−1+T)
        Tensor result = bias;
        for (int k = 0; k < positions; k++)
        {
            Tensor apart = allRuns.narrow(1, k, length).ne(runs).unsqueeze(-1); // (B, T, 1)
            result = result.add(all.narrow(1, k, length).masked_fill(apart, 0).mul(weight.select(2, k).squeeze(1))); // (B, T, E)
        }
        return result;
    }

    private void Draw(Tensor values, Generator? generator) => values.uniform_(-1 / Math.Sqrt(positions), 1 / Math.Sqrt(positions), generator);
}
