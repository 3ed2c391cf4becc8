using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Data;

/// <summary>Writes a random sequence again: <c>qwert|</c> is answered <c>qwert</c>, or backwards <c>trewq</c>.</summary>
/// <remarks>The answer at each place is a fixed distance back (forwards) or a growing one (backwards): positions must tell it, or the
/// symbols before it. With sequences longer than in training it measures how far a position scheme carries (Kazemnejad et al. 2023, arXiv 2305.19466).</remarks>
[Description("A random sequence is written again: qwert| → qwert.")]
public sealed record CopyTaskOptions : SyntheticTaskOptions, IValidated
{
    /// <summary>Symbols of a sequence, at most.</summary>
    [Description("Symbols of the longest sequence.")]
    [Range(1, 1_000_000)]
    public int Length { get; init; } = 16;

    /// <summary>Symbols of the shortest sequence; all have <see cref="Length"/> when absent.</summary>
    [Description("Symbols of the shortest sequence; all lengths up to the longest are equally likely. When absent, all sequences are of one length.")]
    [Range(1, 1_000_000)]
    public int? MinimumLength { get; init; }

    /// <summary>How many different symbols there are.</summary>
    [Description("How many different symbols there are: a … z, then A … Z.")]
    [Range(2, Alphabet.Most)]
    public int Symbols { get; init; } = 26;

    /// <summary>Whether the sequence is written backwards.</summary>
    [Description("Whether the sequence is written backwards.")]
    public bool Reversed { get; init; }

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate() => Alphabet.Order("minimumLength", MinimumLength, "length", Length);

    internal override SyntheticExample Draw(ref RandomSequence random)
    {
        var sequence = Alphabet.Draw(ref random, Alphabet.Between(ref random, MinimumLength, Length), Symbols);
        return new SyntheticExample(sequence + Separator, Reversed ? new string([.. sequence.Reverse()]) : sequence);
    }
}
