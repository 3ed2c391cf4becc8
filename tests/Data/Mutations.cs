namespace Trainer.Data.Tests;

/// <summary>Damages bytes the way real files get damaged.</summary>
internal static class Mutations
{
    /// <summary>How many inputs to try: TRAINER_FUZZ, or by default a number that takes seconds.</summary>
    public static int Count(int usual) => int.TryParse(Environment.GetEnvironmentVariable("TRAINER_FUZZ"), out var count) ? count : usual;

    /// <summary>A damaged copy: flipped bits, extreme bytes, truncation, or parts moved or spliced from another file.</summary>
    public static byte[] Mutate(byte[] file, byte[] other, Random random)
    {
        var bytes = (byte[])file.Clone();
        for (var count = 1 + random.Next(3); count > 0 && bytes.Length > 0; count--)
            switch (random.Next(12))
            {
                case 0:
                    bytes = bytes[..random.Next(bytes.Length)];
                    break;
                case 1:
                    Splice(bytes, bytes, random);
                    break;
                case 2:
                    Splice(other, bytes, random);
                    break;
                case 3:
                    var at = random.Next(bytes.Length);
                    bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + 1 + random.Next(16))..]];
                    break;
                case 4 or 5 or 6:
                    bytes[Place(bytes, random)] = random.Next(4) switch { 0 => 0xFF, 1 => 0x7F, 2 => 0x80, _ => 0 };
                    break;
                case 7:
                    for (var (start, length) = (Place(bytes, random), random.Next(1, 6)); length > 0 && start < bytes.Length; start++,
                        length--)
                        bytes[start] = 0xFF;
                    break;
                default:
                    bytes[Place(bytes, random)] ^= (byte)(1 << random.Next(8));
                    break;
            }
        return bytes;
    }

    /// <summary>Half of all damage goes to the end, where Parquet keeps what it is about.</summary>
    private static int Place(byte[] bytes, Random random) =>
        random.Next(2) == 0 ? random.Next(bytes.Length) : Math.Max(0, bytes.Length - 1 - random.Next(Math.Min(bytes.Length, 2000)));

    private static void Splice(byte[] from, byte[] to, Random random)
    {
        var length = Math.Min(random.Next(1, 64), Math.Min(from.Length, to.Length));
        from.AsSpan(random.Next(from.Length - length + 1), length).CopyTo(to.AsSpan(random.Next(to.Length - length + 1), length));
    }
}
