namespace Trainer.Evaluation.Retrieval;

/// <summary>How often the passkey was found.</summary>
/// <param name="Cells">One for each length and depth.</param>
public sealed record PasskeyReport(IReadOnlyList<PasskeyCell> Cells)
{
    /// <summary>The share of passkeys that were found, over all lengths and depths.</summary>
    public double Accuracy => (double)Cells.Sum(cell => cell.Found) / Cells.Sum(cell => cell.Trials);
}

/// <summary>One length and depth.</summary>
/// <param name="Length">The most tokens of the prompt.</param>
/// <param name="Depth">Where the passkey stood in the filler, 0 at its beginning, 1 at its end.</param>
/// <param name="Found">Passkeys that greedy decoding would have written whole.</param>
/// <param name="Trials">Passkeys that were hidden.</param>
public sealed record PasskeyCell(int Length, double Depth, int Found, int Trials);
