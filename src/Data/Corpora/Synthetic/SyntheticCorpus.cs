using System.Text.Json;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>The corpus <c>synthetic</c>: examples of a task, drawn when they are read, the same ones every time.</summary>
/// <remarks>A prompt belongs to one split only, whatever seed it is drawn from: its hash says to which. As single texts prompt and answer are
/// one document that ends with a line break; in pairs the prompt is what is read and the answer what is written.</remarks>
public sealed class SyntheticCorpus : Corpus
{
    /// <summary>Counts up whenever the same options would give other examples.</summary>
    private const int Version = 1;

    /// <summary>One prompt in so many is held out.</summary>
    private const int HeldOut = 8;

    /// <summary>After so many draws of the other split alone there is nothing left to hope for.</summary>
    private const int MostDraws = 10_000;

    private readonly SyntheticTaskOptions task;
    private readonly long examples;
    private readonly long seed;
    private readonly SourceSplit split;

    private SyntheticCorpus(SourceOptions source, bool inPairs)
    {
        (task, examples, seed, split) = (source.Task!, source.Examples ?? SourceOptions.DefaultExamples, source.Seed ?? 1, source.Split ?? SourceSplit.Train);
        (IsPaired, Weight) = (inPairs, source.Weight ?? 1);
        var options = JsonSerializer.SerializeToNode(task, JsonSerializerOptions.Web)!;
        Name = $"synthetic-{options["type"]}";
        Reading = $"synthetic {Version} {options.ToJsonString()} examples {examples} seed {seed} {split}{(inPairs ? " in pairs" : "")}";
    }

    /// <summary><c>synthetic-copy</c>, for example.</summary>
    public override string Name { get; }

    /// <summary>None: examples follow from their options alone.</summary>
    public override IReadOnlyList<string> Files => [];

    /// <inheritdoc/>
    public override string Reading { get; }

    /// <inheritdoc/>
    public override bool IsPaired { get; }

    /// <summary>Opens the examples of a source.</summary>
    /// <param name="source">Task, number, seed and split.</param>
    /// <param name="inPairs">Whether prompts and answers are documents of their own, by turns.</param>
    /// <returns>The corpus.</returns>
    public static SyntheticCorpus Open(SourceOptions source, bool inPairs) => new(source, inPairs);

    /// <inheritdoc/>
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

    /// <summary>An example of the split: each follows from seed and number alone.</summary>
    private SyntheticExample Draw(long number)
    {
        var random = new RandomSequence(KeyedPermutation.Mix(KeyedPermutation.Mix((ulong)seed + 0x9E3779B97F4A7C15) + (ulong)number));
        for (var draw = 0; draw < MostDraws; draw++)
        {
            var example = task.Draw(ref random);
            if (SplitOf(example.Prompt) == split)
                return example;
        }
        throw new UserException(
            $"{Name} has too few different prompts: of {MostDraws:N0} in a row none was of the {(split == SourceSplit.Train ? "train" : "validation")} split; make the task longer, or give it more symbols");
    }

    private static SourceSplit SplitOf(string prompt)
    {
        var hash = 0UL;
        foreach (var character in prompt)
            hash = KeyedPermutation.Mix(hash + character + 0x9E3779B97F4A7C15);
        return hash % HeldOut == 0 ? SourceSplit.Validation : SourceSplit.Train;
    }
}
