using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Data.Corpora;

namespace Trainer.Data.Numbers;

/// <summary>Pictures of one shape each, of any size, place, angle and brightness, in noise: circle, ring, square, frame, triangle, cross,
/// bar, star. They are as large as the model reads them.</summary>
[Description("Pictures of a circle, ring, square, frame, triangle, cross, bar or star of any size, place, angle and brightness, in noise; "
    + "as large as model.input says.")]
public sealed record ShapesTaskOptions : SyntheticTaskOptions
{
    /// <summary>Deviation of the noise of each pixel, where white is 1.</summary>
    [Description("The deviation of the noise of each pixel, where white is 1.")]
    [Range(0.0, 1.0)]
    public double Noise { get; init; } = 0.05;
}

/// <summary>Draws the pictures of a <see cref="ShapesTaskOptions"/>. What a picture shows, its size and place say which split it is of,
/// whatever the seed, so that the two share no picture.</summary>
internal sealed class ShapeDrawing(ShapesTaskOptions task, ImageShape shape, long seed, SourceSplit split)
{
    /// <summary>Incremented when the same options would give other pictures.</summary>
    public const int Version = 1;

    private const int HeldOut = 8;

    // Places in a pixel at which a shape is looked for, to a side.
    private const int Samples = 3;

    private static readonly (string Name, Func<double, double, bool> Has)[] Kinds =
    [
        ("bar", (x, y) => Math.Abs(x) <= 1 && Math.Abs(y) <= 0.3),
        ("circle", (x, y) => x * x + y * y <= 0.8),
        ("cross", (x, y) => Math.Min(Math.Abs(x), Math.Abs(y)) <= 0.27 && Math.Max(Math.Abs(x), Math.Abs(y)) <= 1),
        ("frame", (x, y) => Math.Max(Math.Abs(x), Math.Abs(y)) is >= 0.5 and <= 0.85),
        ("ring", (x, y) => (x * x + y * y) is >= 0.36 and <= 1),
        ("square", (x, y) => Math.Max(Math.Abs(x), Math.Abs(y)) <= 0.8),
        ("star", (x, y) => Math.Sqrt(x * x + y * y) <= 0.62 + 0.4 * Math.Cos(5 * Math.Atan2(y, x))),
        ("triangle", (x, y) => y >= -0.55 && y + Math.Sqrt(3) * Math.Abs(x) <= 1.1),
    ];

    public static IReadOnlyList<string> Classes { get; } = [.. Kinds.Select(kind => kind.Name)];

    /// <summary>Classes take turns, so that each has as many pictures as any other.</summary>
    public string ClassOf(long number) => Kinds[number % Kinds.Length].Name;

    /// <summary>A picture by its number from 0, by channel, row and column.</summary>
    public byte[] Draw(long number)
    {
        var random = new RandomSequence(KeyedPermutation.Mix(KeyedPermutation.Mix((ulong)seed + 0x9E3779B97F4A7C15) + (ulong)number));
        var kind = (int)(number % Kinds.Length);
        var place = Place.Draw(ref random);
        while ((place.Hash((ulong)kind) % HeldOut == 0) != (split == SourceSplit.Validation))
            place = Place.Draw(ref random);
        var cover = Cover(Kinds[kind].Has, place);
        var pixels = new byte[shape.Values];
        var area = cover.Length;
        for (var channel = 0; channel < shape.Channels; channel++)
        {
            var (ground, ink) = (0.35 * random.NextDouble(), 0.6 + 0.4 * random.NextDouble());
            for (var pixel = 0; pixel < area; pixel++)
            {
                var value = ground + (ink - ground) * cover[pixel] + task.Noise * Normal(ref random);
                pixels[channel * area + pixel] = (byte)Math.Round(255 * Math.Clamp(value, 0, 1));
            }
        }
        return pixels;
    }

    // The share of each pixel that the shape covers.
    private double[] Cover(Func<double, double, bool> has, Place place)
    {
        var cover = new double[shape.Height * shape.Width];
        var (sine, cosine) = Math.SinCos(place.Angle);
        var radius = place.Size * Math.Min(shape.Height, shape.Width) / 2;
        for (var pixel = 0; pixel < cover.Length; pixel++)
            for (var sample = 0; sample < Samples * Samples; sample++)
            {
                var x = (pixel % shape.Width + (sample % Samples + 0.5) / Samples - place.X * shape.Width) / radius;
                var y = (pixel / shape.Width + (sample / Samples + 0.5) / Samples - place.Y * shape.Height) / radius;
                if (has(cosine * x + sine * y, cosine * y - sine * x))
                    cover[pixel] += 1.0 / (Samples * Samples);
            }
        return cover;
    }

    // Box and Muller (1958).
    private static double Normal(ref RandomSequence random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>Where a shape is, how large and how it is turned, in thousandths.</summary>
    private readonly record struct Place(double X, double Y, double Size, double Angle)
    {
        public static Place Draw(ref RandomSequence random) => new(
            Between(ref random, 350, 650), Between(ref random, 350, 650), Between(ref random, 550, 900),
            Between(ref random, 0, 6283));

        public ulong Hash(ulong kind)
        {
            foreach (var number in (ReadOnlySpan<double>)[X, Y, Size, Angle])
                kind = KeyedPermutation.Mix(kind + (ulong)Math.Round(1000 * number) + 0x9E3779B97F4A7C15);
            return kind;
        }

        private static double Between(ref RandomSequence random, int least, int most) => (least + random.Next(most - least + 1)) / 1000.0;
    }
}
