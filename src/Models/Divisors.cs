namespace Trainer.Models;

/// <summary>Suggestions for counts that must divide another.</summary>
internal static class Divisors
{
    private const int Suggestions = 4;

    /// <summary>The divisors of <paramref name="number"/> nearest to <paramref name="wanted"/>, in order: "1, 2, 3 or 6".</summary>
    public static string Near(int number, int wanted)
    {
        int[] near = [.. Of(number).OrderBy(divisor => Math.Abs(divisor - wanted)).Take(Suggestions).Order()];
        return near.Length == 1 ? $"{near[0]}" : $"{string.Join(", ", near[..^1])} or {near[^1]}";
    }

    private static IEnumerable<int> Of(int number) => Enumerable.Range(1, number).Where(divisor => number % divisor == 0);
}
