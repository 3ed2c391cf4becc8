using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Tells the value that a key was given last: <c>a3b5a7b1|a</c> is answered <c>7</c>.</summary>
/// <remarks>Of several equal keys the nearest counts, so that order has to be known and distance need not be: trained on few assignments and
/// measured on many, it shows which position schemes carry beyond the lengths they were trained on. A bias that grows with the distance
/// (Press et al. 2021, arXiv 2108.12409) prefers the nearest at any length.</remarks>
[Description("The value that a key was given last is told: a3b5a7b1|a → 7.")]
public sealed record LatestValueTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Assignments, at most.</summary>
    [Description("Assignments of a value to a key in the longest example.")]
    [Range(1, 1_000_000)]
    public int Assignments { get; init; } = 16;

    /// <summary>Assignments, at least; as many as <see cref="Assignments"/> when absent.</summary>
    [Description("Assignments in the shortest example. When absent, all have the same number.")]
    [Range(1, 1_000_000)]
    public int? MinimumAssignments { get; init; }

    /// <summary>How many different keys there are.</summary>
    [Description("How many different keys there are: a … z, then A … Z.")]
    [Range(1, Alphabet.Most)]
    public int Keys { get; init; } = 8;

    /// <summary>How many different values there are.</summary>
    [Description("How many different values there are: the digits from 0 on.")]
    [Range(2, Alphabet.MostValues)]
    public int Values { get; init; } = 10;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => Alphabet.Order("minimumAssignments", MinimumAssignments, "assignments", Assignments);

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var assignments = Alphabet.Between(ref random, MinimumAssignments, Assignments);
        var text = new char[2 * assignments + 2];
        for (var i = 0; i < assignments; i++)
            (text[2 * i], text[2 * i + 1]) = (Alphabet.Letter(random.Next(Keys)), Alphabet.Value(random.Next(Values)));
        var (keys, at) = (text[..^2].Where((_, place) => place % 2 == 0).Distinct().Order().ToArray(), text.Length - 4);
        var asked = keys[random.Next(keys.Length)];   // any key that was given a value, however often
        while (text[at] != asked)
            at -= 2;
        (text[^2], text[^1]) = (Separator, asked);
        return new SyntheticExample(new string(text), text[at + 1].ToString());
    }
}
