namespace Trainer.Data.HuggingFace;

/// <summary>One step of a compiled expression.</summary>
/// <param name="Operation">What to do.</param>
/// <param name="Set">The characters of One, Run.</param>
/// <param name="First">Where to go first; for Run the minimum; for Assert the anchor; for Look the end of its body.</param>
/// <param name="Second">Where to go when that fails; for Run the maximum (−1 = none).</param>
/// <param name="Program">The body of Look and Atomic.</param>
/// <param name="Flag">Run: possessive; Look: negative.</param>
/// <param name="Lengths">LookBehind: the number of characters of each program.</param>
internal sealed record Instruction(
    Operation Operation, CodePointSet? Set = null, int First = 0, int Second = 0,
    Instruction[][]? Program = null, bool Flag = false, int[]? Lengths = null)
{
    public int First { get; set; } = First;

    public int Second { get; set; } = Second;
}

/// <summary>What an <see cref="Instruction"/> does.</summary>
internal enum Operation
{
    /// <summary>The expression has matched.</summary>
    Match,

    /// <summary>Takes one character of the set.</summary>
    One,

    /// <summary>Takes as many characters of the set as there are, up to the maximum.</summary>
    Run,

    /// <summary>Goes to First, and to Second when that fails.</summary>
    Split,

    /// <summary>Goes to First.</summary>
    Jump,

    /// <summary>Goes on if the anchor holds here.</summary>
    Assert,

    /// <summary>Goes on if the program matches from here.</summary>
    LookAhead,

    /// <summary>Goes on if one of the programs, of fixed lengths, matches up to here.</summary>
    LookBehind,

    /// <summary>Takes what the program matches first.</summary>
    Atomic,
}
