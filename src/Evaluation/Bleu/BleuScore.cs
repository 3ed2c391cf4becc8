using System.Globalization;

namespace Trainer.Evaluation.Bleu;

/// <summary>BLEU with what it is made of.</summary>
/// <param name="Score">0 to 100.</param>
/// <param name="Precisions">Of 1-grams to 4-grams, smoothed, 0 to 100.</param>
/// <param name="BrevityPenalty">What a hypothesis shorter than its references costs, 0 to 1.</param>
/// <param name="HypothesisLength">Words of all hypotheses.</param>
/// <param name="ReferenceLength">Words of the references that are closest in length.</param>
/// <param name="Signature">How it was computed, in sacrebleu's notation: two figures compare only where it is equal.</param>
public sealed record BleuScore(
    double Score, IReadOnlyList<double> Precisions, double BrevityPenalty, long HypothesisLength, long ReferenceLength, string Signature)
{
    /// <summary>The line that sacrebleu prints.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"BLEU|{Signature} = {Score:F2} {string.Join('/', Precisions.Select(p => p.ToString("F1", CultureInfo.InvariantCulture)))} (BP = {BrevityPenalty:F3} ratio = {Ratio:F3} hyp_len = {HypothesisLength} ref_len = {ReferenceLength})");

    private double Ratio => ReferenceLength == 0 ? 0 : (double)HypothesisLength / ReferenceLength;
}
