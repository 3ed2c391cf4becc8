namespace Trainer.Models.Attention.Patterns;

/// <summary>Patterns that need no mask, and the rest.</summary>
internal enum PatternShape
{
    /// <summary>Everything sees everything.</summary>
    Full,

    /// <summary>Everything sees itself and what is before it.</summary>
    Causal,

    /// <summary>Whatever <see cref="AttentionPattern.Visible"/> says.</summary>
    Masked,
}
