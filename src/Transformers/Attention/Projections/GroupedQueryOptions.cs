using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Trainer.Configuration;

namespace Trainer.Transformers.Attention.Projections;

/// <summary>Consecutive query heads share a head of keys and values (Ainslie et al. 2023, arXiv 2305.13245).</summary>
public sealed record GroupedQueryOptions : HeadProjectionOptions
{
    /// <summary>Number of key-value heads, G; divides the number of query heads.</summary>
    [Description("Number of key-value heads; it must divide heads.")]
    [Range(1, 4096)]
    public required int KeyValueHeads { get; init; }

    internal override int Groups => KeyValueHeads;

    /// <inheritdoc/>
    public override IEnumerable<Problem> Validate()
    {
        if (Heads < 1 || KeyValueHeads < 1 || Heads % KeyValueHeads == 0) return [];
        return
        [
            new("keyValueHeads",
                $"heads ({Heads}) must be a multiple of keyValueHeads ({KeyValueHeads}); try {Divisors.Near(Heads, KeyValueHeads)}"),
        ];
    }
}
