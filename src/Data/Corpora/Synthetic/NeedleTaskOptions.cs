using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Finds a pass key in a text that is about something else.</summary>
/// <remarks>The passkey retrieval of Mohtashami and Jaggi 2023 (arXiv 2305.16300, §4.2) with shorter sentences, so that it fits small contexts; the
/// sentences around the key are drawn at random. Where the key stands and how long the text is are options: needle in a haystack.</remarks>
[Description("A pass key is found in filler: … The pass key is 48213. … What is the pass key? → 48213.")]
public sealed record NeedleTaskOptions : SyntheticTaskOptions, IValidated
{
    private const string Question = "What is the pass key? ";

    private static readonly string[] Filler =
        ["The grass is green. ", "The sky is blue. ", "The sun is yellow. ", "Here we go. ", "There and back again. ", "The night is dark. ", "The road is long. ", "The sea is deep. "];

    /// <summary>Characters of the prompt, at most; it is filled as far as whole sentences go.</summary>
    [Description("Characters of the longest prompt, question included; whole sentences fill it.")]
    [Range(1, 10_000_000)]
    public int Length { get; init; } = 256;

    /// <summary>Characters of the shortest prompt; all are filled up to <see cref="Length"/> when absent.</summary>
    [Description("Characters of the shortest prompt; all lengths up to the longest are equally likely. When absent, all are about as long.")]
    [Range(1, 10_000_000)]
    public int? MinimumLength { get; init; }

    /// <summary>Where the key stands: 0 = first, 1 = right before the question; anywhere when absent.</summary>
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
            yield return new Problem("length", $"is {Length}, but the sentence with the pass key and the question take {Least} characters; make it {Least} or more");
        if (MinimumLength < Least)
            yield return new Problem("minimumLength", $"is {MinimumLength}, but the sentence with the pass key and the question take {Least} characters; make it {Least} or more");
        foreach (var problem in Alphabet.Order("minimumLength", MinimumLength, "length", Length))
            yield return problem;
    }

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{random.Next() % (ulong)Math.Pow(10, Digits)}").PadLeft(Digits, '0');
        var sentences = Sentences(Alphabet.Between(ref random, MinimumLength, Length) - Least, ref random);
        var before = Depth is { } depth ? (int)Math.Round(depth * sentences.Count) : random.Next(sentences.Count + 1);
        sentences.Insert(before, Needle(key));
        return new SyntheticExample(string.Concat(sentences) + Question, key);
    }

    private static string Needle(string key) => $"The pass key is {key}. ";

    /// <summary>Random sentences up to the first that has no room.</summary>
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
