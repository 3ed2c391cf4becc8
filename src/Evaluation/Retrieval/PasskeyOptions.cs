using Trainer.Configuration;

namespace Trainer.Evaluation.Retrieval;

/// <summary>What is hidden, in what, how far back, and how it is asked for.</summary>
/// <remarks>The probe of Mohtashami and Jaggi 2023 (arXiv 2305.16300) and Chen et al. 2023 (arXiv 2306.15595), whose texts are the defaults.</remarks>
public sealed record PasskeyOptions : IValidated
{
    /// <summary>Lengths of the whole prompt, in tokens.</summary>
    public required IReadOnlyList<int> Lengths { get; init; }

    /// <summary>Where the passkey stands in the filler: 0 at its beginning, 1 at its end.</summary>
    public IReadOnlyList<double> Depths { get; init; } = [0, 0.25, 0.5, 0.75, 1];

    /// <summary>Passkeys tried at each depth of each length.</summary>
    public int Trials { get; init; } = 10;

    /// <summary>Digits of a passkey.</summary>
    public int Digits { get; init; } = 5;

    /// <summary>Draws the passkeys.</summary>
    public long Seed { get; init; } = 1337;

    /// <summary>What the prompt begins with.</summary>
    public string Introduction { get; init; } =
        "There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the important information there.\n";

    /// <summary>What is repeated around the passkey, a sentence each.</summary>
    public IReadOnlyList<string> Filler { get; init; } =
        ["The grass is green. ", "The sky is blue. ", "The sun is yellow. ", "Here we go. ", "There and back again. "];

    /// <summary>The sentence with the passkey, which stands in place of every {0}.</summary>
    public string Needle { get; init; } = "The pass key is {0}. Remember it. {0} is the pass key. ";

    /// <summary>What the model has to continue with the passkey.</summary>
    public string Question { get; init; } = "What is the pass key? The pass key is ";

    /// <inheritdoc/>
    public IEnumerable<Problem> Validate()
    {
        if (Lengths.Count == 0 || Lengths.Any(length => length < 1)) yield return new("lengths", $"lengths ({string.Join(", ", Lengths)}) must be one or more numbers of tokens, each 1 or more");
        if (Depths.Count == 0 || Depths.Any(depth => !(depth >= 0 && depth <= 1))) yield return new("depths", $"depths ({string.Join(", ", Depths)}) must be one or more numbers from 0 to 1");
        if (Trials < 1) yield return new("trials", $"trials ({Trials}) must be 1 or more");
        if (Digits is < 1 or > 18) yield return new("digits", $"digits ({Digits}) must be 1 to 18");
        if (Filler.Count == 0 || Filler.Any(string.IsNullOrEmpty)) yield return new("filler", "filler must be one or more sentences, none of them empty");
        if (!Needle.Contains("{0}", StringComparison.Ordinal)) yield return new("needle", $"needle (\"{Needle}\") must have {{0}} where the passkey stands");
    }
}
