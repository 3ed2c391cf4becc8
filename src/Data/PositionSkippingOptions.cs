using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Trainer.Data;

/// <summary>Training for a long context within a short window: the section <c>data.positionSkipping</c> (PoSE, Zhu et al. 2023, arXiv 2309.10400).</summary>
/// <remarks>A row has few tokens, but their positions reach up to the model's <c>contextLength</c>, the target length: its second part
/// begins later than the first one ends. So every distance is learned, at the cost of the window.</remarks>
public sealed record PositionSkippingOptions
{
    /// <summary>Tokens of a row.</summary>
    [Description("Tokens of a row; their positions reach up to model.contextLength.")]
    [Range(2, 16_777_216)]
    public required int Window { get; init; }
}
