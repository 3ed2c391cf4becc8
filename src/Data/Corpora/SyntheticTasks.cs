using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Trainer.Configuration;

namespace Trainer.Data.Corpora;

/// <summary>Copies a random sequence: <c>qwert|</c> → <c>qwert</c>, or reversed <c>trewq</c>. Beyond the trained length it measures length
/// generalization (Kazemnejad et al. 2023, arXiv 2305.19466).</summary>
[Description("A random sequence is written again: qwert| → qwert.")]
public sealed record CopyTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Symbols in the longest sequence.</summary>
    [Description("Symbols of the longest sequence.")]
    [Range(1, 1_000_000)]
    public int Length { get; init; } = 16;

    /// <summary>Symbols in the shortest sequence; <see cref="Length"/> when absent.</summary>
    [Description("Symbols of the shortest sequence; all lengths up to the longest are equally likely. When absent, all sequences are of "
        + "one length.")]
    [Range(1, 1_000_000)]
    public int? MinimumLength { get; init; }

    /// <summary>Number of distinct symbols.</summary>
    [Description("How many different symbols there are: a … z, then A … Z.")]
    [Range(2, SyntheticAlphabet.MaxLetters)]
    public int Symbols { get; init; } = 26;

    /// <summary>Whether the answer is reversed.</summary>
    [Description("Whether the sequence is written backwards.")]
    public bool Reversed { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => SyntheticAlphabet.Order("minimumLength", MinimumLength, "length", Length);

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var sequence = SyntheticAlphabet.Draw(ref random, SyntheticAlphabet.Between(ref random, MinimumLength, Length), Symbols);
        return new SyntheticExample(sequence + Separator, Reversed ? new string([.. sequence.Reverse()]) : sequence);
    }
}

/// <summary>Copies symbols out of noise, in order: <c>..a....qc.|</c> → <c>aqc</c>. Distances vary, so only input-dependent memory solves
/// it: the task that motivated selective state spaces (Gu and Dao 2023, arXiv 2312.00752, §4.1.1).</summary>
[Description("Symbols are picked out of noise, in their order: ..a....qc.| → aqc.")]
public sealed record SelectiveCopyTaskOptions : SyntheticTaskOptions, IValidated
{
    private const char Noise = '.';

    /// <summary>Sequence length, noise included.</summary>
    [Description("Places of a sequence, noise included.")]
    [Range(1, 1_000_000)]
    public int Length { get; init; } = 64;

    /// <summary>Number of symbols in the noise.</summary>
    [Description("Places of a sequence that hold a symbol to be written.")]
    [Range(1, 1_000_000)]
    public int Items { get; init; } = 8;

    /// <summary>Number of distinct symbols.</summary>
    [Description("How many different symbols there are: a … z, then A … Z.")]
    [Range(2, SyntheticAlphabet.MaxLetters)]
    public int Symbols { get; init; } = 16;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Items > Length)
            yield return new Problem("items", $"is {Items}, but there are only length ({Length}) places; make it {Length} or less");
    }

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var items = SyntheticAlphabet.Draw(ref random, Items, Symbols);
        var sequence = new char[Length + 1];
        var written = 0;
        // Selection sampling: all choices of places are equally likely (Knuth, vol. 2, algorithm 3.4.2 S).
        for (var place = 0; place < Length; place++)
            sequence[place] = random.Next(Length - place) < Items - written ? items[written++] : Noise;
        sequence[Length] = Separator;
        return new SyntheticExample(new string(sequence), items);
    }
}

/// <summary>Recalls the value of one of distinct keys: <c>a3k5z1|k</c> → <c>5</c>. Needs an induction head of two attention layers (Olsson
/// et al. 2022, arXiv 2209.11895); fixed-size states hold only so many pairs (Arora et al. 2023, arXiv 2312.04927).</summary>
[Description("The value of one of several keys is told: a3k5z1|k → 5.")]
public sealed record AssociativeRecallTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Key-value pairs, at most.</summary>
    [Description("Keys with a value in the longest example.")]
    [Range(1, SyntheticAlphabet.MaxLetters)]
    public int Pairs { get; init; } = 8;

    /// <summary>Key-value pairs, at least; <see cref="Pairs"/> when absent.</summary>
    [Description("Keys with a value in the shortest example. When absent, all have the same number.")]
    [Range(1, SyntheticAlphabet.MaxLetters)]
    public int? MinimumPairs { get; init; }

    /// <summary>Number of distinct keys.</summary>
    [Description("How many different keys there are: a … z, then A … Z.")]
    [Range(1, SyntheticAlphabet.MaxLetters)]
    public int Keys { get; init; } = 26;

    /// <summary>Number of distinct values.</summary>
    [Description("How many different values there are: the digits from 0 on.")]
    [Range(2, SyntheticAlphabet.MaxValues)]
    public int Values { get; init; } = 10;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Pairs > Keys)
            yield return new Problem("pairs", $"is {Pairs}, but there are only keys ({Keys}) different keys; make it {Keys} or less");
        foreach (var problem in SyntheticAlphabet.Order("minimumPairs", MinimumPairs, "pairs", Pairs))
            yield return problem;
    }

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var pairs = SyntheticAlphabet.Between(ref random, MinimumPairs, Pairs);
        var order = new KeyedPermutation(Keys, random.Next());
        var text = new char[2 * pairs + 2];
        for (var i = 0; i < pairs; i++)
            (text[2 * i], text[2 * i + 1]) = (SyntheticAlphabet.Letter((int)order[i]), SyntheticAlphabet.Value(random.Next(Values)));
        var asked = random.Next(pairs);
        (text[^2], text[^1]) = (Separator, text[2 * asked]);
        return new SyntheticExample(new string(text), text[2 * asked + 1].ToString());
    }
}

/// <summary>Recalls the value last assigned to a key: <c>a3b5a7b1|a</c> → <c>7</c>. Order matters and distance does not: with more
/// assignments than in training it shows which positions extrapolate (Press et al. 2021, arXiv 2108.12409).</summary>
[Description("The value that a key was given last is told: a3b5a7b1|a → 7.")]
public sealed record LatestValueTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Assignments, at most.</summary>
    [Description("Assignments of a value to a key in the longest example.")]
    [Range(1, 1_000_000)]
    public int Assignments { get; init; } = 16;

    /// <summary>Assignments, at least; <see cref="Assignments"/> when absent.</summary>
    [Description("Assignments in the shortest example. When absent, all have the same number.")]
    [Range(1, 1_000_000)]
    public int? MinimumAssignments { get; init; }

    /// <summary>Number of distinct keys.</summary>
    [Description("How many different keys there are: a … z, then A … Z.")]
    [Range(1, SyntheticAlphabet.MaxLetters)]
    public int Keys { get; init; } = 8;

    /// <summary>Number of distinct values.</summary>
    [Description("How many different values there are: the digits from 0 on.")]
    [Range(2, SyntheticAlphabet.MaxValues)]
    public int Values { get; init; } = 10;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => SyntheticAlphabet.Order("minimumAssignments", MinimumAssignments, "assignments", Assignments);

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var assignments = SyntheticAlphabet.Between(ref random, MinimumAssignments, Assignments);
        var text = new char[2 * assignments + 2];
        for (var i = 0; i < assignments; i++)
            (text[2 * i], text[2 * i + 1]) = (SyntheticAlphabet.Letter(random.Next(Keys)), SyntheticAlphabet.Value(random.Next(Values)));
        var (keys, at) = (text[..^2].Where((_, place) => place % 2 == 0).Distinct().Order().ToArray(), text.Length - 4);
        var asked = keys[random.Next(keys.Length)];   // uniform over the keys that occur
        while (text[at] != asked)
            at -= 2;
        (text[^2], text[^1]) = (Separator, asked);
        return new SyntheticExample(new string(text), text[at + 1].ToString());
    }
}

/// <summary>Passkey retrieval (Mohtashami and Jaggi 2023, arXiv 2305.16300, §4.2) with shorter sentences in random order; with length and
/// depth as options, needle in a haystack.</summary>
[Description("A pass key is found in filler: … The pass key is 48213. … What is the pass key? → 48213.")]
public sealed record NeedleTaskOptions : SyntheticTaskOptions, IValidated
{
    private const string Question = "What is the pass key? ";

    private static readonly string[] Filler =
        ["The grass is green. ", "The sky is blue. ", "The sun is yellow. ", "Here we go. ", "There and back again. ",
            "The night is dark. ", "The road is long. ", "The sea is deep. "];

    /// <summary>Characters of the longest prompt, filled with whole sentences.</summary>
    [Description("Characters of the longest prompt, question included; whole sentences fill it.")]
    [Range(1, 10_000_000)]
    public int Length { get; init; } = 256;

    /// <summary>Characters of the shortest prompt; <see cref="Length"/> when absent.</summary>
    [Description("Characters of the shortest prompt; all lengths up to the longest are equally likely. "
        + "When absent, all are about as long.")]
    [Range(1, 10_000_000)]
    public int? MinimumLength { get; init; }

    /// <summary>The key's place: 0 = first, 1 = right before the question; random when absent.</summary>
    [Description("Where the key stands among the filler: 0 = before it, 1 = behind it, right before the question. When absent, anywhere.")]
    [Range(0.0, 1.0)]
    public double? Depth { get; init; }

    /// <summary>Digits of the key.</summary>
    [Description("Digits of the pass key.")]
    [Range(1, 18)]
    public int Digits { get; init; } = 5;

    private int Least => Needle(new string('0', Digits)).Length + Question.Length;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Length < Least)
            yield return new Problem("length",
                $"is {Length}, but the sentence with the pass key and the question take {Least} characters; make it {Least} or more");
        if (MinimumLength < Least)
            yield return new Problem("minimumLength", $"is {MinimumLength}, but the sentence with the pass key and the question "
                + $"take {Least} characters; make it {Least} or more");
        foreach (var problem in SyntheticAlphabet.Order("minimumLength", MinimumLength, "length", Length))
            yield return problem;
    }

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{random.Next() % (ulong)Math.Pow(10, Digits)}").PadLeft(Digits, '0');
        var sentences = Sentences(SyntheticAlphabet.Between(ref random, MinimumLength, Length) - Least, ref random);
        var before = Depth is { } depth ? (int)Math.Round(depth * sentences.Count) : random.Next(sentences.Count + 1);
        sentences.Insert(before, Needle(key));
        return new SyntheticExample(string.Concat(sentences) + Question, key);
    }

    private static string Needle(string key) => $"The pass key is {key}. ";

    private static List<string> Sentences(int room, ref RandomSequence random)
    {
        var sentences = new List<string>();
        for (var next = Filler[random.Next(Filler.Length)]; next.Length <= room; next = Filler[random.Next(Filler.Length)])
        {
            sentences.Add(next);
            room -= next.Length;
        }
        return sentences;
    }
}
