using System.ComponentModel;
using System.Text.Json.Serialization;

namespace Trainer.Training.Reinforcement;

/// <summary>How good an answer is, from 0 to 1, by comparing it with the one that the data has: <c>reinforcement.reward</c>. A new kind is a
/// record and a line here.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(ExactRewardOptions), "exact")]
[JsonDerivedType(typeof(PrefixRewardOptions), "prefix")]
[JsonDerivedType(typeof(EditDistanceRewardOptions), "edit-distance")]
public abstract record RewardOptions
{
    internal abstract double Score(string answer, string wanted);
}

/// <summary>1 for the answer itself, 0 for any other.</summary>
[Description("1 for the right answer, 0 for any other.")]
public sealed record ExactRewardOptions : RewardOptions
{
    internal override double Score(string answer, string wanted) => answer == wanted ? 1 : 0;
}

/// <summary>The share of the characters, of the longer text, up to the first that differs.</summary>
[Description("The share of characters up to the first wrong one, of the longer of both texts: 1 only for the right answer.")]
public sealed record PrefixRewardOptions : RewardOptions
{
    internal override double Score(string answer, string wanted) => answer == wanted
        ? 1
        : (double)answer.AsSpan().CommonPrefixLength(wanted) / Math.Max(answer.Length, wanted.Length);
}

/// <summary>1 − the edit distance (Levenshtein 1966) over the length of the longer text.</summary>
[Description("1 less the share of characters that have to be inserted, removed or replaced, of the longer of both texts: 1 only for the " +
    "right answer.")]
public sealed record EditDistanceRewardOptions : RewardOptions
{
    internal override double Score(string answer, string wanted) => answer == wanted
        ? 1
        : 1 - (double)Distance(answer, wanted) / Math.Max(answer.Length, wanted.Length);

    private static int Distance(string from, string to)
    {
        int[] row = [.. Enumerable.Range(0, to.Length + 1)]; // distances of the first i characters to each beginning of the other
        for (int i = 0; i < from.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < to.Length; j++)
            {
                int replaced = diagonal + (from[i] == to[j] ? 0 : 1);
                diagonal = row[j + 1];
                row[j + 1] = Math.Min(replaced, Math.Min(row[j], row[j + 1]) + 1);
            }
        }
        return row[^1];
    }
}
