namespace Trainer.Data.Numbers;

/// <summary>Draws the series of a <see cref="WavesTaskOptions"/>.</summary>
internal static class WaveDrawing
{
    /// <summary>Incremented when the same options would give another series.</summary>
    public const int Version = 1;

    // How much of itself the random walk keeps in a step, and how far it goes.
    private const double Persistence = 0.99, Wander = 0.03;

    public static SeriesTable Draw(WavesTaskOptions task, long seed) => new(
        "synthetic-waves", [.. Enumerable.Range(1, task.Variables).Select(number => $"wave{number}")],
        [.. Enumerable.Range(0, task.Variables).Select(variable => Draw(task, new RandomSequence(
            KeyedPermutation.Mix(KeyedPermutation.Mix((ulong)seed + 0x9E3779B97F4A7C15) + (ulong)variable))))]);

    private static float[] Draw(WavesTaskOptions task, RandomSequence random)
    {
        // A season and its second harmonic: sawtooth-like, and different in each variable.
        (double Strength, double Frequency, double Phase)[] waves = [.. task.Periods.SelectMany(period => new[] { 1, 2 }.Select(harmonic =>
            ((0.5 + random.NextDouble()) / harmonic, 2 * Math.PI * harmonic / period, 2 * Math.PI * random.NextDouble())))];
        var (slope, walk) = ((random.NextDouble() - 0.5) / task.Steps, 0.0);
        var values = new float[task.Steps];
        for (var step = 0; step < values.Length; step++)
        {
            walk = Persistence * walk + Wander * Normal(ref random);
            var seasons = waves.Sum(wave => wave.Strength * Math.Sin(wave.Frequency * step + wave.Phase)) / Math.Sqrt(task.Periods.Count);
            values[step] = (float)(seasons + slope * step + walk + task.Noise * Normal(ref random));
        }
        return values;
    }

    // Box and Muller (1958).
    private static double Normal(ref RandomSequence random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
