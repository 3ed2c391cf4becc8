using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The characters that examples are made of, one token each to a tokenizer of characters or bytes.</summary>
internal static class Alphabet
{
    /// <summary>The most symbols: small and capital letters.</summary>
    public const int Most = 52;

    /// <summary>The most values of a key: the digits, so that no value looks like a key.</summary>
    public const int MostValues = 10;

    /// <summary>One of the first letters: a … z, A … Z.</summary>
    public static char Letter(int index) => (char)(index < 26 ? 'a' + index : 'A' + index - 26);

    /// <summary>A digit.</summary>
    public static char Value(int index) => (char)('0' + index);

    /// <summary>Any of the first letters, so many times.</summary>
    public static string Draw(ref RandomSequence random, int length, int symbols)
    {
        var text = new char[length];
        for (var i = 0; i < length; i++)
            text[i] = Letter(random.Next(symbols));
        return new string(text);
    }

    /// <summary>A number from the least to the most, both possible.</summary>
    public static int Between(ref RandomSequence random, int? least, int most) => least is { } from ? from + random.Next(most - from + 1) : most;

    /// <summary>What is wrong with a least number that must not be above the most.</summary>
    public static IEnumerable<Problem> Order(string leastName, int? least, string mostName, int most)
    {
        if (least > most)
            yield return new Problem(leastName, $"is {least}, above {mostName} ({most}); make it {most} or less, or leave it out for examples of one length");
    }
}
