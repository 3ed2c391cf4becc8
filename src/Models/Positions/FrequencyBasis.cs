namespace Trainer.Models.Positions;

/// <summary>The frequencies that sinusoidal and rotary positions start from: θ_i = base^(−2i/d).</summary>
/// <param name="Dims">Dimensions in pairs, d: the turned ones of a head, or the model's.</param>
/// <param name="Theta">The base.</param>
internal readonly record struct FrequencyBasis(int Dims, double Theta)
{
    /// <summary>θ_i for i in 0 … d/2 − 1, in radians per position.</summary>
    public double[] Frequencies()
    {
        (int dims, double theta) = (Dims, Theta);
        return [.. Enumerable.Range(0, dims / 2).Select(i => Math.Pow(theta, -2.0 * i / dims))];
    }

    /// <summary>The basis whose slowest frequency is s times slower and whose fastest stays: base·s^(d/(d−2)) (bloc97 2023, "NTK-aware").</summary>
    public FrequencyBasis Stretched(double factor) => this with { Theta = Theta * Math.Pow(factor, Dims / (Dims - 2.0)) };

    /// <summary>The index, not a whole number, of the pair that makes <paramref name="turns"/> turns in <paramref name="length"/> positions.</summary>
    public double PairOfTurns(double turns, double length) => Dims * Math.Log(length / (turns * 2 * Math.PI)) / (2 * Math.Log(Theta));
}
