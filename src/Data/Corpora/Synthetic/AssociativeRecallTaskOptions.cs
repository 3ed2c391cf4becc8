using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Tells the value of a key: <c>a3k5z1|k</c> is answered <c>5</c>. Each key is there once.</summary>
/// <remarks>It takes two layers of attention that work together, an induction head (Olsson et al. 2022, arXiv 2209.11895); models with a
/// state of fixed size hold only so many pairs (Arora et al. 2023, arXiv 2312.04927).</remarks>
[Description("The value of one of several keys is told: a3k5z1|k → 5.")]
public sealed record AssociativeRecallTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Keys with a value, at most.</summary>
    [Description("Keys with a value in the longest example.")]
    [Range(1, Alphabet.Most)]
    public int Pairs { get; init; } = 8;

    /// <summary>Keys with a value, at least; as many as <see cref="Pairs"/> when absent.</summary>
    [Description("Keys with a value in the shortest example. When absent, all have the same number.")]
    [Range(1, Alphabet.Most)]
    public int? MinimumPairs { get; init; }

    /// <summary>How many different keys there are.</summary>
    [Description("How many different keys there are: a … z, then A … Z.")]
    [Range(1, Alphabet.Most)]
    public int Keys { get; init; } = 26;

    /// <summary>How many different values there are.</summary>
    [Description("How many different values there are: the digits from 0 on.")]
    [Range(2, Alphabet.MostValues)]
    public int Values { get; init; } = 10;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Pairs > Keys)
            yield return new Problem("pairs", $"is {Pairs}, but there are only keys ({Keys}) different keys; make it {Keys} or less");
        foreach (var problem in Alphabet.Order("minimumPairs", MinimumPairs, "pairs", Pairs))
            yield return problem;
    }

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var pairs = Alphabet.Between(ref random, MinimumPairs, Pairs);
        var order = new KeyedPermutation(Keys, random.Next());
        var text = new char[2 * pairs + 2];
        for (var i = 0; i < pairs; i++)
            (text[2 * i], text[2 * i + 1]) = (Alphabet.Letter((int)order[i]), Alphabet.Value(random.Next(Values)));
        var asked = random.Next(pairs);
        (text[^2], text[^1]) = (Separator, text[2 * asked]);
        return new SyntheticExample(new string(text), text[2 * asked + 1].ToString());
    }
}
