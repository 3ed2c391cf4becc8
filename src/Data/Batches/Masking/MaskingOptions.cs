using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Data;

/// <summary>Which tokens a masked model has to guess: the section <c>data.masking</c>.</summary>
/// <remarks>Devlin et al. 2019 (arXiv 1810.04805, §3.1 and A.1); drawn anew in each epoch, as in Liu et al. 2019 (arXiv 1907.11692, §4.1).</remarks>
public sealed record MaskingOptions
{
    /// <summary>The share of tokens to guess. Of these 80 % become the mask token, 10 % any token, and 10 % stay.</summary>
    [Description("The share of tokens to guess; of these 80 % become the mask token, 10 % a random token, and 10 % stay as they are.")]
    [Range(0.001, 0.999)]
    public double Probability { get; init; } = 0.15;

    /// <summary>Whether the tokens of a word are chosen all or none.</summary>
    [Description("Whether the tokens of a word (a run of letters and digits) are chosen all or none.")]
    public bool WholeWord { get; init; }
}
