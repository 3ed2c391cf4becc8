using System.Text.Json;
using System.Text.Json.Serialization;
using Trainer.Configuration;
using Trainer.Data.Numbers;

namespace Trainer.Data.Corpora;

/// <summary>Examples of a task, drawn when read, always the same. A prompt's hash assigns it to one split, whatever the seed. Unpaired,
/// prompt and answer are one document that ends with a line break.</summary>
internal sealed class SyntheticCorpus : Corpus
{
    /// <summary>Incremented when the same options would give other examples.</summary>
    private const int Version = 1;

    private const int HeldOut = 8;

    /// <summary>Gives up when this many draws in a row all belong to the other split.</summary>
    private const int MaxDraws = 10_000;

    private readonly SyntheticTaskOptions task;
    private readonly long examples;
    private readonly long seed;
    private readonly SourceSplit split;

    private SyntheticCorpus(SourceOptions source, bool inPairs)
    {
        (task, examples, seed, split) = (source.Task!, source.Examples ?? SourceOptions.DefaultExamples, source.Seed ?? 1,
            source.Split ?? SourceSplit.Train);
        (IsPaired, Weight) = (inPairs, source.Weight ?? 1);
        var options = JsonSerializer.SerializeToNode(task, JsonSerializerOptions.Web)!;
        Name = $"synthetic-{options["type"]}";
        Reading = $"synthetic {Version} {options.ToJsonString()} examples {examples} seed {seed} {split}{(inPairs ? " in pairs" : "")}";
    }

    public override string Name { get; }

    /// <summary>None: examples depend only on their options.</summary>
    public override IReadOnlyList<string> Files => [];

    public override string Reading { get; }

    internal override bool IsPaired { get; }

    public static SyntheticCorpus Open(SourceOptions source, bool inPairs) => new(source, inPairs);

    public override IEnumerable<TextPiece> Read()
    {
        for (var number = 0L; number < examples; number++)
        {
            var (prompt, answer) = Draw(number);
            yield return Piece(IsPaired ? prompt : $"{prompt}{answer}\n", number, "prompt");
            if (IsPaired)
                yield return Piece(answer, number, "answer");
        }
    }

    private TextPiece Piece(string text, long number, string part) =>
        new(text.AsMemory(), StartsDocument: true, Name, number + 1) { Record = new RecordPlace("example", part, 0) };

    private SyntheticExample Draw(long number)
    {
        var random = new RandomSequence(KeyedPermutation.Mix(KeyedPermutation.Mix((ulong)seed + 0x9E3779B97F4A7C15) + (ulong)number));
        for (var draw = 0; draw < MaxDraws; draw++)
        {
            var example = task.Draw(ref random);
            if (SplitOf(example.Prompt) == split)
                return example;
        }
        throw new UserException(
            $"{Name} has too few different prompts: of {MaxDraws:N0} in a row none was of "
            + $"the {(split == SourceSplit.Train ? "train" : "validation")} split; make the task longer, or give it more symbols");
    }

    private static SourceSplit SplitOf(string prompt)
    {
        var hash = 0UL;
        foreach (var character in prompt)
            hash = KeyedPermutation.Mix(hash + character + 0x9E3779B97F4A7C15);
        return hash % HeldOut == 0 ? SourceSplit.Validation : SourceSplit.Train;
    }
}

/// <summary>The task of synthetic examples; each kind draws its own.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(CopyTaskOptions), "copy")]
[JsonDerivedType(typeof(SelectiveCopyTaskOptions), "selective-copy")]
[JsonDerivedType(typeof(AssociativeRecallTaskOptions), "associative-recall")]
[JsonDerivedType(typeof(LatestValueTaskOptions), "latest-value")]
[JsonDerivedType(typeof(NeedleTaskOptions), "needle")]
[JsonDerivedType(typeof(ShapesTaskOptions), "shapes")]
[JsonDerivedType(typeof(WavesTaskOptions), "waves")]
[JsonDerivedType(typeof(ArithmeticTaskOptions), "arithmetic")]
[JsonDerivedType(typeof(RewriteTaskOptions), "rewrite")]
public abstract record SyntheticTaskOptions
{
    private protected const char Separator = '|';

    internal virtual SyntheticExample Draw(ref RandomSequence random) => throw new NotSupportedException($"{GetType()} makes no text.");
}

internal readonly record struct SyntheticExample(string Prompt, string Answer);

/// <summary>The characters of examples: one token each for character and byte tokenizers.</summary>
internal static class SyntheticAlphabet
{
    public const int MaxLetters = 52;

    /// <summary>Digits, so that no value looks like a key.</summary>
    public const int MaxValues = 10;

    public static char Letter(int index) => (char)(index < 26 ? 'a' + index : 'A' + index - 26);

    public static char Value(int index) => (char)('0' + index);

    public static string Draw(ref RandomSequence random, int length, int symbols)
    {
        var text = new char[length];
        for (var i = 0; i < length; i++)
            text[i] = Letter(random.Next(symbols));
        return new string(text);
    }

    /// <summary>A random number in [least, most]; <paramref name="most"/> if there is no least.</summary>
    public static int Between(ref RandomSequence random, int? least, int most) =>
        least is { } from ? from + random.Next(most - from + 1) : most;

    public static IEnumerable<Problem> Order(string leastName, int? least, string mostName, int most)
    {
        if (least > most)
            yield return new Problem(leastName,
                $"is {least}, above {mostName} ({most}); make it {most} or less, or leave it out for examples of one length");
    }

    public static IEnumerable<Problem> Choices<T>(string name, IReadOnlyList<T> choices)
        where T : struct, Enum
    {
        if (choices is not { Count: > 0 })
            yield return new Problem(name, $"is empty; name at least one of {string.Join(", ", Names())}, or leave it out");
        for (var i = 0; i < choices?.Count; i++)
            if (choices.Take(i).Contains(choices[i]))
                yield return new Problem($"{name}.{i}", $"\"{Name(choices[i])}\" is listed twice; name each once");

        static string Name(T choice) => choice.ToString().ToLowerInvariant();
        static IEnumerable<string> Names() => Enum.GetValues<T>().Select(Name);
    }
}
