using Trainer.Configuration;

namespace Trainer.Data.Numbers;

/// <summary>A picture of red, green and blue, a byte each, row by row.</summary>
internal sealed record Picture(byte[] Pixels, int Height, int Width)
{
    private const int Colours = 3;

    /// <summary>From red, green, blue and opacity, over black.</summary>
    public static Picture Of(ReadOnlySpan<byte> withOpacity, int height, int width)
    {
        var pixels = new byte[height * width * Colours];
        for (var pixel = 0; pixel < height * width; pixel++)
            for (var colour = 0; colour < Colours; colour++)
                pixels[pixel * Colours + colour] = (byte)((withOpacity[4 * pixel + colour] * withOpacity[4 * pixel + 3] + 127) / 255);
        return new(pixels, height, width);
    }

    /// <summary>The pixels as a model reads them, by channel, row and column; 1 channel is luma (ITU-R BT.601).</summary>
    /// <exception cref="UserException">The picture has another size, and is not to be resized.</exception>
    public byte[] ToChannels(ImageShape shape, bool resize, string path)
    {
        if ((Height, Width) != (shape.Height, shape.Width) && !resize)
            throw new UserException($"{path}: the picture is {Width} × {Height} pixels, and the model reads {shape.Width} × "
                + $"{shape.Height}; set data.images.resize to true to have pictures resized, or model.input.width and height to its size");
        var fitted = (Height, Width) == (shape.Height, shape.Width) ? this : Resize(shape.Height, shape.Width);
        var result = new byte[shape.Values];
        var area = shape.Height * shape.Width;
        for (var pixel = 0; pixel < area; pixel++)
        {
            var colours = fitted.Pixels.AsSpan(pixel * Colours, Colours);
            if (shape.Channels == 1)
                result[pixel] = (byte)((299 * colours[0] + 587 * colours[1] + 114 * colours[2] + 500) / 1000);
            else
                for (var channel = 0; channel < Colours; channel++)
                    result[channel * area + pixel] = colours[channel];
        }
        return result;
    }

    /// <summary>Each new pixel is the mean of what it covers of the old ones.</summary>
    private Picture Resize(int height, int width)
    {
        var (rows, columns) = (Cover(Height, height), Cover(Width, width));
        var pixels = new byte[height * width * Colours];
        for (var row = 0; row < height; row++)
            for (var column = 0; column < width; column++)
                for (var colour = 0; colour < Colours; colour++)
                {
                    var sum = 0.0;
                    foreach (var (fromRow, ofRow) in rows[row])
                        foreach (var (fromColumn, ofColumn) in columns[column])
                            sum += ofRow * ofColumn * Pixels[(fromRow * Width + fromColumn) * Colours + colour];
                    pixels[(row * width + column) * Colours + colour] = (byte)Math.Round(sum);
                }
        return new(pixels, height, width);
    }

    // The old places that each new one covers, and their shares, which add up to 1.
    private static (int Place, double Share)[][] Cover(int from, int to) => [.. Enumerable.Range(0, to).Select(place =>
    {
        var (first, end) = ((double)place * from / to, (double)(place + 1) * from / to);
        return Enumerable.Range((int)first, Math.Min(from, (int)Math.Ceiling(end)) - (int)first)
            .Select(old => (old, (Math.Min(end, old + 1) - Math.Max(first, old)) / (end - first))).ToArray();
    })];
}
