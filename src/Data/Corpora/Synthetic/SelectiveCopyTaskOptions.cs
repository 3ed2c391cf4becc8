using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Picks symbols out of noise, in their order: <c>..a....qc.|</c> is answered <c>aqc</c>.</summary>
/// <remarks>The distance to what is asked differs from example to example, so that only a model whose memory depends on what it reads
/// solves it: the task that selective state spaces were made for (Gu and Dao 2023, arXiv 2312.00752, §4.1.1).</remarks>
[Description("Symbols are picked out of noise, in their order: ..a....qc.| → aqc.")]
public sealed record SelectiveCopyTaskOptions : SyntheticTaskOptions, IValidated
{
    private const char Noise = '.';

    /// <summary>Places of a sequence, noise included.</summary>
    [Description("Places of a sequence, noise included.")]
    [Range(1, 1_000_000)]
    public int Length { get; init; } = 64;

    /// <summary>Places that hold a symbol.</summary>
    [Description("Places of a sequence that hold a symbol to be written.")]
    [Range(1, 1_000_000)]
    public int Items { get; init; } = 8;

    /// <summary>How many different symbols there are.</summary>
    [Description("How many different symbols there are: a … z, then A … Z.")]
    [Range(2, Alphabet.Most)]
    public int Symbols { get; init; } = 16;

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Items > Length)
            yield return new Problem("items", $"is {Items}, but there are only length ({Length}) places; make it {Length} or less");
    }

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var items = Alphabet.Draw(ref random, Items, Symbols);
        var sequence = new char[Length + 1];
        var written = 0;
        // Each place holds a symbol with the share of those left: all choices of places are equally likely (Knuth, vol. 2, algorithm 3.4.2 S).
        for (var place = 0; place < Length; place++)
            sequence[place] = random.Next(Length - place) < Items - written ? items[written++] : Noise;
        sequence[Length] = Separator;
        return new SyntheticExample(new string(sequence), items);
    }
}
