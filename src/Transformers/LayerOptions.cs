using Trainer.Transformers.Attention;
using Trainer.Transformers.FeedForward;
using Trainer.Transformers.Norms;
using Trainer.Transformers.Positions;

namespace Trainer.Transformers;

/// <summary>The choices one layer is built from, after everything that may differ between layers has been resolved.</summary>
internal sealed record LayerOptions(
    AttentionOptions Attention,
    PositionOptions Position,
    FeedForwardOptions FeedForward,
    NormOptions Norm);
